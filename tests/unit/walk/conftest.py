# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection with a fake incident in it, and runs of its playbook."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[3]
LAMP = Path(__file__).parent / "lamp"
DARK = {"on": False, "mains": True, "boot": "b1", "since": "2026-11-30T10:00:00Z"}


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path with a copy of the collection, the fake incident in its registry, and locks in a folder of its own."""
    root = tmp_path_factory.mktemp("walk")
    home = root / "ansible_collections" / "virtengine" / "incident"
    for name in ("plugins", "roles", "playbooks", "meta"):
        shutil.copytree(REPO / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(LAMP, home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    package = "ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.lamp.incident"
    # An incident's playbook is that of another one, but for its name.
    playbook = (home / "playbooks/chain_halt.yml").read_text(encoding="utf-8")
    (home / "playbooks/lamp.yml").write_text(playbook.replace("chain_halt", "lamp"), encoding="utf-8")
    edit(
        home / "plugins/plugin_utils/_incidents/registry.py",
        ("\nimport typing as t\n", f"\nimport typing as t\n\nfrom {package} import LAMP\n"),
        ("(CHAIN_HALT, ", "(LAMP, CHAIN_HALT, "),
    )
    edit(
        home / "plugins/module_utils/_host/lock.py",
        ('"/run/lock/virtengine-incident"', f'"{root}/locks"'),
        ('"/var/lib/virtengine-incident"', f'"{root}/used"'),
    )
    return root


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Change the copy of a file; each text to be replaced has to be there."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{path.name} holds no {old!r}"
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    code: int
    output: str

    @property
    def digest(self) -> str:
        """The digest of the plan on the screen."""
        found = re.search(r"THE PLAN: (lamp-[0-9a-f]{16})", self.output)
        assert found, self.output
        return found[1]

    @property
    def screen(self) -> str:
        """What stands below Ansible's recap."""
        return self.output.partition("PLAY RECAP")[2]


class Hall:
    """A site with one lamp: the file that stands for its API, and the incident's playbook."""

    def __init__(self, collections: Path, site: Path) -> None:
        self._collections, self._site = collections, site
        self.records = site / "incidents"
        self._api = site / "api.json"
        host = f"api ansible_connection=local ansible_python_interpreter={sys.executable} api_file={self._api}"
        (site / "lamps").write_text(f"[lamps]\n{host}\n", encoding="utf-8")
        self.lamp = DARK

    @property
    def lamp(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self._api.read_text(encoding="utf-8"))
        return shown

    @lamp.setter
    def lamp(self, state: dict[str, Any]) -> None:
        self._api.write_text(json.dumps(state), encoding="utf-8")

    def change(self, **changes: Any) -> None:
        self.lamp = {**self.lamp, **changes}

    def add(self, host: str) -> None:
        """A host of the inventory that does not say where its API is."""
        with open(self._site / "lamps", "a", encoding="utf-8") as stream:
            stream.write(f"{host} ansible_connection=local ansible_python_interpreter={sys.executable}\n")

    def unplug(self) -> None:
        self._api.unlink()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "HOME") if name in os.environ}
        env = {**kept, "ANSIBLE_COLLECTIONS_PATH": str(self._collections), "ANSIBLE_NOCOLOR": "1"}
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "virtengine.incident.lamp", "-i", "lamps"]
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self._site,
            env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *arguments: str) -> Ran:
        running = self.start(*arguments)
        output = running.communicate(timeout=180)[0]
        return Ran(running.returncode, output)

    def approve(self, digest: str, *arguments: str) -> Ran:
        return self.run("-e", f"incident_approve={digest}", *arguments)


@pytest.fixture
def hall(collections: Path, tmp_path: Path) -> Hall:
    for folder in ("locks", "used"):
        shutil.rmtree(collections / folder, ignore_errors=True)
    return Hall(collections, tmp_path)
