# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the halt height out of app.toml: nothing else of the file changes, and a kill leaves a whole file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.config_file import ConfigFile
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import config as _config
from ansible_collections.virtengine.incident.plugins.module_utils._node import halt_height
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.module_utils._host.killing import killed_before_each_call
from tests.unit.module_utils._node.test_acting import Systemd

UNIT = "virtengine.service"
DIGEST, OTHER = "halt-0123456789abcdef", "halt-fedcba9876543210"
KEPT = f"app.toml.incident-{DIGEST}"
TEXT = """\
# Base configuration; halt-height = 7 here is a comment.
minimum-gas-prices = "0.025uve"
pruning-list = [
  "halt-time = 3",
]
 Halt-Height   =  221 \t# agreed on
halt-time = 0\r
index-events = ["a#b", 'c']

[telemetry]
halt-height = 9
halt-time = 9
"""
CLEARED = TEXT.replace("=  221 ", "=  0 ")
EXPECTED = {"halt_height": 221, "halt_time": 0}


class Host:
    """A host with a node that is down, and its home."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.systemd = Systemd(tmp_path, monkeypatch)
        self.home = tmp_path / "home"
        self.folder = self.home / "config"
        self.folder.mkdir(parents=True)
        self.file = self.folder / "app.toml"
        self.write(TEXT)
        self.systemd.argv = ["/usr/bin/virtengine", "start", "--home", str(self.home)]

    def write(self, text: str) -> None:
        self.file.write_bytes(text.encode())

    def text(self, name: str = "app.toml") -> str:
        return (self.folder / name).read_bytes().decode()

    def clear(self, digest: str = DIGEST, check: bool = False, **expected: int) -> dict[str, Any]:
        return halt_height.clear(UNIT, None, digest, {**EXPECTED, **expected}, check)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_only_the_value_changes_and_the_old_file_stays(host: Host) -> None:
    host.file.chmod(0o640)
    os.chown(host.file, 1234, 2345)
    predicted = host.clear(check=True)
    assert host.text() == TEXT and os.listdir(host.folder) == ["app.toml"]
    done = host.clear()
    assert {**predicted} == {**done} and done["changed"]
    assert host.text() == CLEARED and host.text(KEPT) == TEXT
    assert done["before"] == EXPECTED and done["after"] == {"halt_height": 0, "halt_time": 0}
    assert done["backup"] == str(host.folder / KEPT)
    for name in ("app.toml", KEPT):
        facts = (host.folder / name).stat()
        assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o640, 1234, 2345)
    assert len(done["lines"]) == 1 and "0.025uve" not in str(done)
    assert sorted(os.listdir(host.folder)) == ["app.toml", KEPT]


def test_a_second_run_changes_nothing_and_the_undo_is_a_rename(host: Host) -> None:
    host.clear()
    again = host.clear(OTHER)
    assert not again["changed"] and again["backup"] is None and again["actions"] == []
    assert sorted(os.listdir(host.folder)) == ["app.toml", KEPT]
    os.rename(host.folder / KEPT, host.file)
    assert host.text() == TEXT


def test_height_and_time_are_cleared_together(host: Host) -> None:
    host.write('halt-height = "221"\nhalt-time = 1769774400 # s')
    assert host.clear(halt_time=1769774400)["changed"]
    assert host.text() == "halt-height = 0\nhalt-time = 0 # s"


def test_a_file_that_names_nothing_or_is_not_there_is_left_alone(host: Host) -> None:
    for text in ("", "halt-height = 0\n", "# halt-height = 221\n"):
        host.write(text)
        assert not host.clear()["changed"] and host.text() == text
    host.file.unlink()
    assert not host.clear()["changed"] and not host.file.exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace("221", "222"), "names halt height 222"),
        (TEXT.replace("halt-time = 0", "halt-time = 5"), "halt time 5"),
        (TEXT + "halt-height\n", "cannot be read safely"),
        ("halt-height = 221\nhalt-height = 221\n", "given twice"),
        ("halt-height = 2_21\n", "cannot be read safely"),
        ('halt-height = """221"""\n', "cannot be read safely"),
        ('"halt-height" = 221\nhalt-height = 221\n', "cannot be read safely"),
        ("halt-height = 221.0\n", "cannot be read safely"),
        ("halt-height = -221\n", "cannot be read safely"),
        ('halt-height = "$HEIGHT"\n', "refers to a variable"),
        ("halt-height = 221\n\x00", "cannot be read safely"),
        ("x = [\n[1],\n]\nhalt-height = 221\n", "not found for certain"),
    ],
)
def test_what_is_not_read_for_certain_is_not_changed(host: Host, text: str, why: str) -> None:
    host.write(text)
    with pytest.raises(Refused, match=why):
        host.clear()
    assert host.text() == text and os.listdir(host.folder) == ["app.toml"]


def test_flags_and_variables_overrule_the_file_and_are_named(host: Host, tmp_path: Path) -> None:
    usual = list(host.systemd.argv)
    host.systemd.argv = [*usual, "--halt-height=221"]
    with pytest.raises(Refused, match="--halt-height 221"):
        host.clear()
    host.systemd.argv = [*usual, "--halt-time", "5"]
    with pytest.raises(Refused, match="--halt-time 5"):
        host.clear()
    host.systemd.argv = usual
    host.systemd.environment = {"VE_HALT_HEIGHT": "221"}
    with pytest.raises(Refused, match="VE_HALT_HEIGHT=221"):
        host.clear()
    host.systemd.environment = {}
    (tmp_path / "env").write_text("VE_HALT_TIME=77\n")
    host.systemd.files = [(str(tmp_path / "env"), False)]
    with pytest.raises(Refused, match="VE_HALT_TIME=77"):
        host.clear()
    host.systemd.files = []
    host.systemd.argv = ["/usr/local/bin/run.sh"]
    with pytest.raises(Refused, match="cannot be read safely"):
        halt_height.clear(UNIT, str(host.home), DIGEST, EXPECTED, False)
    assert host.text() == TEXT and os.listdir(host.folder) == ["app.toml"]


def test_a_node_that_runs_keeps_its_file(host: Host) -> None:
    host.systemd.facts.update(active_state="active", main_pid=7)
    with pytest.raises(Refused, match="Stop it first"):
        host.clear()
    assert host.text() == TEXT


def test_only_the_digest_of_a_plan_names_what_is_kept(host: Host) -> None:
    with pytest.raises(ValueError, match="not the digest of a plan"):
        host.clear("run-5f0c2b9a")


def test_links_large_files_and_what_is_no_file_are_refused(host: Host, tmp_path: Path) -> None:
    os.rename(host.file, tmp_path / "real.toml")
    host.file.symlink_to(tmp_path / "real.toml")
    with pytest.raises(Refused, match="symbolic link"):
        host.clear()
    assert host.file.is_symlink() and (tmp_path / "real.toml").read_bytes().decode() == TEXT
    host.file.unlink()
    host.write("halt-height = 221\n" + "#" * _config.FILE_CAP)
    with pytest.raises(Refused, match="larger than"):
        host.clear()
    host.file.write_bytes(b"halt-height = 221 # \xff\n")
    with pytest.raises(Refused, match="UTF-8"):
        host.clear()


def test_a_name_that_is_taken_is_never_overwritten(host: Host, tmp_path: Path) -> None:
    taken = host.folder / KEPT
    taken.write_text("somebody's")
    with pytest.raises(Refused, match="is there already"):
        host.clear()
    assert taken.read_text() == "somebody's" and host.text() == TEXT
    assert sorted(os.listdir(host.folder)) == ["app.toml", KEPT]
    (tmp_path / "aim").write_text("not mine")
    (host.folder / ".app.toml.incident-new").symlink_to(tmp_path / "aim")
    assert host.clear(OTHER)["changed"] and (tmp_path / "aim").read_text() == "not mine"


def test_a_file_that_is_exchanged_meanwhile_is_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    write = ConfigFile._write

    def exchanged(folder: Any, content: bytes) -> None:
        write(folder, content)
        (host.folder / "new").write_text("by somebody else")
        os.rename(host.folder / "new", host.file)

    monkeypatch.setattr(ConfigFile, "_write", exchanged)
    with pytest.raises(Refused, match="changed meanwhile"):
        host.clear()
    assert host.text() == "by somebody else" and os.listdir(host.folder) == ["app.toml"]


def test_a_full_disk_leaves_the_old_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any, **_names: Any) -> None:
        raise OSError(28, "No space left on device")

    for call in ("write", "fsync", "link", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(halt_height.os, call, full)
            with pytest.raises(OSError, match="No space left"):
                host.clear()
        assert host.text() == TEXT
        assert not (host.folder / ".app.toml.incident-new").exists()


def test_a_home_that_is_not_known_is_asked_for(host: Host) -> None:
    host.systemd.argv = ["/usr/bin/virtengine", "start", "--home", "$SOMEWHERE"]
    with pytest.raises(Refused, match="option home"):
        host.clear()
    with pytest.raises(Refused, match="not the node's home"):
        halt_height.clear(UNIT, str(host.home / "nowhere"), DIGEST, EXPECTED, False)


@pytest.mark.parametrize("again", [DIGEST, OTHER])
def test_killed_before_any_call_it_leaves_a_whole_file_and_the_next_run_finishes(host: Host, again: str) -> None:
    def prepare() -> None:
        for name in os.listdir(host.folder):
            (host.folder / name).unlink()
        host.write(TEXT)
        host.file.chmod(0o600)

    seen = set()
    kills = 0
    for number in killed_before_each_call(host.clear, prepare):
        kills += 1
        assert host.text() in (TEXT, CLEARED), f"call {number}"
        seen.add(host.text())
        if host.text() == CLEARED:
            assert host.text(KEPT) == TEXT
        host.clear(again)
        assert host.text() == CLEARED and not (host.folder / ".app.toml.incident-new").exists()
        kept = [name for name in os.listdir(host.folder) if name != "app.toml"]
        assert kept and all(host.text(name) == TEXT for name in kept)
        assert stat.S_IMODE(host.file.stat().st_mode) == 0o600
    assert kills > 10 and seen == {TEXT, CLEARED}


LINES = st.sampled_from(
    [
        "halt-height = 221", "halt-height=0", " HALT-HEIGHT = '221' # x", "halt-time = 5", "# halt-height = 1", "",
        "a = [", "]", "halt-height = 3,", "b = \"halt-height = 4\"", "[api]", "c = true", "halt-height", "x = 1.5",
        "\x0bhalt-time = 5", "d = ['[', \"]\"]", "e = \"\u2028\"",
    ]
)  # fmt: skip


@given(lines=st.lists(LINES, max_size=8), ends=st.sampled_from(["\n", "\r\n"]))
def test_whatever_the_file_is_only_the_two_values_change(lines: list[str], ends: str) -> None:
    text = ends.join(lines)
    try:
        before = _config.read_toml(text)
    except _config.Unreadable:
        with pytest.raises(Refused):
            halt_height.without(text, ["halt-height"])
        return
    names = [key for key in ("halt-height", "halt-time") if before.get(("", key)) not in (None, 0)]
    try:
        changed, pairs = halt_height.without(text, names)
    except Refused:
        return
    after = _config.read_toml(changed)
    assert all(after[("", name)] == 0 for name in names) and len(pairs) == len(names)
    rest = {key: repr(value) for key, value in before.items() if key not in {("", name) for name in names}}
    assert {key: repr(after[key]) for key in rest} == rest and set(after) == set(before)
    old, new = text.splitlines(keepends=True), changed.splitlines(keepends=True)
    assert len(old) == len(new) and sum(one != other for one, other in zip(old, new)) == len(names)
