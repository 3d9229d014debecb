# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without ``incident_record_dir`` the record lies where ``ansible-playbook`` was started, whatever PWD says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
LAMP = REPO / "tests/unit/walk/lamp/plugins/plugin_utils/_incidents/lamp"

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - virtengine.incident.incident_open: {incident: lamp}
"""
REGISTRY = """
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.lamp.incident import LAMP

def incident(name):
    return LAMP

def known():
    return (LAMP,)

def variables():
    return frozenset()
"""


def collection(root: Path) -> Path:
    """A collections path with this collection, of which the lamp is the only incident."""
    plugins = root / "ansible_collections/virtengine/incident/plugins"
    rooms = plugins / "plugin_utils"
    (rooms / "_incidents").mkdir(parents=True)
    for room in (REPO / "plugins/plugin_utils").iterdir():
        if room.name != "_incidents":
            (rooms / room.name).symlink_to(room)
    for kind in (REPO / "plugins").iterdir():
        if kind.name != "plugin_utils":
            (plugins / kind.name).symlink_to(kind)
    (rooms / "_incidents/lamp").symlink_to(LAMP)
    (rooms / "_incidents/registry.py").write_text(REGISTRY, encoding="utf-8")
    return root


@pytest.mark.parametrize(("given", "kept"), [("", "here/incidents"), ("there", "here/there")])
def test_the_record_lies_where_the_command_runs(tmp_path: Path, given: str, kept: str) -> None:
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    play, hosts = tmp_path / "elsewhere/play.yml", tmp_path / "hosts"
    play.write_text(PLAY, encoding="utf-8")
    hosts.write_text("[lamps]\nhall\n", encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(play), "-i", str(hosts)]
    command += ["-e", f"incident_record_dir={given}"] if given else []
    # A short name: newer ansible-cores put a socket there.
    with tempfile.TemporaryDirectory(prefix="vi-", dir="/tmp") as scratch:
        env = {**os.environ, "PWD": str(tmp_path / "elsewhere"), "TMPDIR": scratch}
        env["ANSIBLE_COLLECTIONS_PATH"] = str(collection(tmp_path / "collections"))
        done = subprocess.run(command, cwd=tmp_path / "here", env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (facts,) = Path(scratch).glob("virtengine-incident-*/run.json")
        found = json.loads(facts.read_text(encoding="utf-8"))["record_dir"]
    assert (tmp_path / "here" / found).resolve() == (tmp_path / kept).resolve()
