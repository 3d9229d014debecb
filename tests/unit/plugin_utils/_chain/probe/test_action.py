# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin as a playbook calls it, and the module of its name."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.virtengine.incident.plugins.action.chain_probe import ActionModule
from ansible_collections.virtengine.incident.plugins.modules import chain_probe

from tests.unit.module_utils._cometbft.server import Server
from tests.unit.plugin_utils._chain.probe.nodes import node, refused


def play(directory: Path, *arguments: str, **options: t.Any) -> dict[str, t.Any]:
    """Run the task on two hosts that do not exist; what it registered."""
    result = directory / "result.json"
    tasks = [
        {"name": "Probe", "virtengine.incident.chain_probe": options, "register": "probe"},
        {
            "name": "Keep",
            "ansible.builtin.copy": {"content": "{{ probe }}", "dest": str(result), "mode": "0600"},
            "delegate_to": "localhost",
            "check_mode": False,
            "run_once": True,
        },
    ]
    plays = [{"name": "Probe", "hosts": "all", "gather_facts": False, "tasks": tasks}]
    (directory / "probe.yml").write_text(yaml.safe_dump(plays), encoding="utf-8")
    hosts = "nowhere1.invalid,nowhere2.invalid,"
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", hosts, "probe.yml", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        return {"failed": True, "output": done.stdout + done.stderr}
    found: dict[str, t.Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_probe_opens_no_connection_to_a_host(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Server(node()) as server:
        found = play(tmp_path, *arguments, endpoints=[server.url, refused()])
    assert not found.get("failed"), found
    assert found["changed"] is False
    assert (found["asked"], found["answered"], found["refused"]) == (2, 1, 1)
    assert [entry["look"] for entry in found["observations"]] == [1, 1]


def test_without_an_endpoint_it_is_skipped_at_once(tmp_path: Path) -> None:
    found = play(tmp_path, endpoints=[])
    assert found["skipped"] is True and found["observations"] == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"endpoints": ["ftp://x"]}, "ftp://x"),
        ({"endpoints": [], "discover": True}, "at least one endpoint"),
        ({"endpoints": ["http://127.0.0.1:1"], "discover_limit": 2001}, "from 1 to 2000"),
        ({"endpoints": ["http://127.0.0.1:1"], "deadline": 0}, "from 1 to 300"),
        ({"endpoint": "http://127.0.0.1:1"}, "endpoint"),
    ],
)
def test_wrong_options_fail_with_a_sentence(tmp_path: Path, options: dict[str, t.Any], text: str) -> None:
    found = play(tmp_path, **options)
    assert found["failed"] is True and text in found["output"]


def test_module_and_plugin_take_the_same_options() -> None:
    documented = yaml.safe_load(chain_probe.DOCUMENTATION)["options"]
    assert set(documented) == set(ActionModule.ARGUMENTS)
    for name, option in ActionModule.ARGUMENTS.items():
        assert documented[name]["type"] == option["type"]
        assert documented[name].get("default") == option.get("default")


RUNNER = """
import json, runpy, sys
import ansible.module_utils.basic as basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_the_module_alone_says_where_it_runs() -> None:
    options = {"endpoints": [], "_ansible_remote_tmp": "there", "_ansible_keep_remote_files": False}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(chain_probe.__file__)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert answer["failed"] is True and "on the controller" in answer["msg"]
