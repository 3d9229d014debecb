# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-up fetches the dependency once, whole, and in the version that is asked for; each collections path shows it."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tools import environment, places
from tools.environment import SetupError
from tools.places import DEPENDENCY

INSIDE = "ansible_collections/community/postgresql"
Pip = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def manifest(version: str) -> str:
    return json.dumps({"collection_info": {"version": version}})


def pip(version: str, *, inside: str = INSIDE) -> Pip:
    """A pip that downloads a package with the collection in this version, and with another collection."""

    def download(command: list[str], **_how: object) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"]
        assert command[-1] == DEPENDENCY.package
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "ansible.whl", "w") as package:
            package.writestr(f"{inside}/MANIFEST.json", manifest(version))
            package.writestr(f"{inside}/plugins/module_utils/postgres.py", "")
            package.writestr("ansible_collections/community/postgresql_other/MANIFEST.json", "{}")
        return subprocess.CompletedProcess(command, 0, "", "")

    return download


def failing(command: list[str], **_how: object) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(command, 1, "", "no route to the package index\n")


def killed(command: list[str], **_how: object) -> subprocess.CompletedProcess[str]:
    """A pip that is killed, and we with it, when half of the package has come."""
    (Path(command[command.index("--dest") + 1]) / "half.whl").write_bytes(b"PK")
    raise KeyboardInterrupt


def fetch(monkeypatch: pytest.MonkeyPatch, with_pip: Pip) -> None:
    monkeypatch.setattr(environment.subprocess, "run", with_pip)
    environment._fetch(DEPENDENCY)


def kept() -> list[str]:
    return sorted(path.name for path in DEPENDENCY.cached.parent.iterdir())


def test_only_the_collection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(monkeypatch, pip(DEPENDENCY.version))
    assert kept() == [f"community.postgresql-{DEPENDENCY.version}"]
    assert sorted(path.name for path in DEPENDENCY.cached.iterdir()) == ["MANIFEST.json", "plugins"]


def test_the_second_time_nothing_is_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fetch(monkeypatch, pip(DEPENDENCY.version))
    capsys.readouterr()
    fetch(monkeypatch, failing)
    assert capsys.readouterr().out == ""


def test_killed_half_way_it_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(monkeypatch, killed)
    assert not DEPENDENCY.cached.exists()
    fetch(monkeypatch, pip(DEPENDENCY.version))
    assert kept() == [DEPENDENCY.cached.name]


def test_what_pip_says_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="no route to the package index"):
        fetch(monkeypatch, failing)
    assert not DEPENDENCY.cached.exists()


@pytest.mark.parametrize(
    ("package", "said"),
    [(pip("4.3.0"), "contains 4.3.0 community.postgresql, not"), (pip("4.2.0", inside="x"), "contains no community")],
)
def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, package: Pip, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        fetch(monkeypatch, package)
    assert not DEPENDENCY.cached.exists()


@pytest.mark.parametrize(("tests", "fetched"), [(True, [DEPENDENCY]), (False, [])])
def test_only_tests_need_it(monkeypatch: pytest.MonkeyPatch, tests: bool, fetched: list[places.Dependency]) -> None:
    asked: list[places.Dependency] = []
    monkeypatch.setattr(environment, "need", lambda _programs: None)
    monkeypatch.setattr(environment, "_make", lambda _core, *, tests: True)
    monkeypatch.setattr(environment, "_fetch", asked.append)
    environment.set_up(tests=tests)
    assert asked == fetched


def test_a_collections_path_shows_it_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = DEPENDENCY.below(places.linked_collections())
    assert not shown.is_symlink()
    fetch(monkeypatch, pip(DEPENDENCY.version))
    for _again in range(2):
        places.linked_collections()
        assert (shown / "MANIFEST.json").read_text(encoding="utf-8") == manifest(DEPENDENCY.version)


def test_a_link_to_an_older_version_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetch(monkeypatch, pip(DEPENDENCY.version))
    link = DEPENDENCY.below(tmp_path)
    link.parent.mkdir(parents=True)
    link.symlink_to(DEPENDENCY.cached.with_name("community.postgresql-4.1.0"))
    places.link_dependency(tmp_path)
    assert link.readlink() == DEPENDENCY.cached


def test_tests_run_with_the_oldest_version_that_is_allowed() -> None:
    declared = yaml.safe_load((places.REPO / "galaxy.yml").read_text(encoding="utf-8"))["dependencies"]
    major = int(DEPENDENCY.version.split(".")[0])
    name = f"{DEPENDENCY.namespace}.{DEPENDENCY.name}"
    assert declared == {name: f">={DEPENDENCY.version},<{major + 1}.0.0"}
