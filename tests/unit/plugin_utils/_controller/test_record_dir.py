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

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - virtengine.incident.incident_open: {incident: chain_halt, target: "", hosts: [], observed: [], endpoints: [http://x:1]%s}
"""


@pytest.mark.parametrize(("given", "kept"), [("", "here/incidents"), (", record_dir: there", "here/there")])
def test_the_record_lies_where_the_command_runs(tmp_path: Path, given: str, kept: str) -> None:
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    play = tmp_path / "elsewhere/play.yml"
    play.write_text(PLAY % given, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(play)]
    # A short name: newer ansible-cores put a socket there.
    with tempfile.TemporaryDirectory(prefix="vi-", dir="/tmp") as scratch:
        env = {**os.environ, "PWD": str(tmp_path / "elsewhere"), "TMPDIR": scratch}
        done = subprocess.run(command, cwd=tmp_path / "here", env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (facts,) = Path(scratch).glob("virtengine-incident-*/run.json")
        found = json.loads(facts.read_text(encoding="utf-8"))["record_dir"]
    assert (tmp_path / "here" / found).resolve() == (tmp_path / kept).resolve()
