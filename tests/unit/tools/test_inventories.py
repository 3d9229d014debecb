# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories that a team copies: they parse, name only variables that exist, and the local one is the rig's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry

from tests.fleet import inventory
from tests.fleet.layout import Layout
from tests.fleet.names import Names, subnet
from tests.fleet.record import Record
from tests.unit.tools.command_lines import variables
from tools import places

FOLDER = places.REPO / "inventories"
EXAMPLE, LOCAL = FOLDER / "example", FOLDER / "local"
# The rig that `python3 -m tests.fleet up` makes.
RIG = "rig"
BY_SSH = {"validators", "sentries", "databases", "slurm", "inference", "provider_daemons"}
APIS = {"kubernetes", "prometheus", "loki"}
# Groups that some incident asks.
BUILT = {group for incident in registry.known() for group in incident.groups}
# A variable that is set, or shown in a comment.
_VARIABLE = re.compile(r"^ *(?:# )?(incident_\w+):", re.MULTILINE)
_SETTING = re.compile(r"^(?:# )?\w+:")


def listed(path: Path) -> dict[str, Any]:
    """What Ansible makes of an inventory."""
    command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(path), "--list"]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hosts(found: dict[str, Any], group: str) -> set[str]:
    """The hosts of a group and of the groups below it."""
    entry = found.get(group, {})
    return set(entry.get("hosts", ())).union(*(hosts(found, child) for child in entry.get("children", ())))


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return listed(EXAMPLE)


def test_the_example_has_every_group(example: dict[str, Any]) -> None:
    for group in BY_SSH | APIS:
        assert hosts(example, group), group
        for host in hosts(example, group):
            known = example["_meta"]["hostvars"].get(host, {})
            assert (known.get("ansible_connection") == "local") == (group in APIS), host
            assert ("ansible_host" in known) == (group in BY_SSH), host


def test_a_group_without_an_incident_says_so() -> None:
    text = (EXAMPLE / "hosts.yml").read_text(encoding="utf-8")
    for group in BY_SSH | APIS:
        (comment,) = re.findall(rf"^ *# (.*)\n *{group}:$", text, re.MULTILINE)
        assert ("No incident asks" in comment) == (group not in BUILT), comment


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yml")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_only_variables_that_a_role_documents(path: Path) -> None:
    assert set(_VARIABLE.findall(path.read_text(encoding="utf-8"))) <= variables()


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("group_vars/*.yml")), ids=lambda path: path.name)
def test_every_variable_has_its_comment(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for before, line in zip(lines, lines[1:]):
        if _SETTING.match(line):
            assert before.startswith("# ") and not _SETTING.match(before), line


def test_the_example_is_read_by_the_playbook(tmp_path: Path) -> None:
    """A misspelt incident_* variable is refused by the playbook itself, before any host is asked."""
    command = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        "virtengine.incident.chain_halt",
        "-i",
        str(EXAMPLE),
    ]
    evidence = places.REPO / "tests/data/recorded/stopped.json"
    done = subprocess.run(
        [*command, "-e", f"incident_evidence={evidence}", "-e", "incident_chain_id=virtengine-rig-1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "THE CHAIN IS HALTED" in done.stdout


def test_the_local_inventory_is_what_the_rig_writes(tmp_path: Path) -> None:
    record = Record(Layout(), subnet(RIG), "", "", boot="")
    signers = dict.fromkeys(record.layout.names(), "A" * 40)
    written = tmp_path / "validators"
    written.write_text(inventory.text(Names(RIG), record.layout, record.addresses(), signers), encoding="utf-8")
    rig, local = listed(written), listed(LOCAL)
    for known in rig["_meta"]["hostvars"].values():
        known.pop("incident_validator_address", None)
    assert local["_meta"]["hostvars"] == rig["_meta"]["hostvars"]
    for group in ("all", "fleet", *BY_SSH, *APIS):
        assert hosts(local, group) == hosts(rig, group), group
