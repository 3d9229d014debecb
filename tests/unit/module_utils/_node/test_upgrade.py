# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of an upgrade and the program cosmovisor would take for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts, systemd
from ansible_collections.virtengine.incident.plugins.module_utils._node import places as _node_places
from ansible_collections.virtengine.incident.plugins.module_utils._node import upgrade

# As the upgrade module writes it.
PLAN = '{"name":"v2","time":"0001-01-01T00:00:00Z","height":253,"info":"test"}'


def read(home: Path, plan: str | None, variables: dict[str, str] | None = None) -> dict[str, Any]:
    (home / "data").mkdir(exist_ok=True)
    if plan is not None:
        (home / "data/upgrade-info.json").write_text(plan)
    line = "/usr/bin/virtengine start" if variables is None else "/usr/bin/cosmovisor run start"
    unit = systemd.Unit({}, [*line.split(), "--home", str(home)], variables or {}, [], "root", "")
    places = _node_places.find(unit, None, None, None, None)
    return upgrade.read(str(home), places["cosmovisor"], places["upgrades"])


def test_a_plan_without_cosmovisor(tmp_path: Path) -> None:
    nothing = {"cosmovisor": False, "upgrade_binary": None, "upgrade_binary_present": None}
    assert read(tmp_path, None) == {"plan": None, **nothing}
    assert read(tmp_path, PLAN) == {"plan": {"name": "v2", "height": 253}, **nothing}


def test_the_program_of_an_upgrade_is_there_or_not(tmp_path: Path) -> None:
    variables = {"DAEMON_HOME": str(tmp_path), "DAEMON_NAME": "virtengined"}
    found = read(tmp_path, PLAN, variables)
    program = tmp_path / "cosmovisor/upgrades/v2/bin/virtengined"
    assert (found["upgrade_binary"], found["upgrade_binary_present"]) == (str(program), False)
    program.mkdir(parents=True)
    assert read(tmp_path, PLAN, variables)["upgrade_binary_present"] is False
    program.rmdir()
    program.write_bytes(b"program")
    assert read(tmp_path, PLAN, variables)["upgrade_binary_present"] is True


@pytest.mark.parametrize(
    ("name", "folder", "as_named"),
    [("V2.0", "v2.0", "V2.0"), ("../../a b", "..%2F..%2Fa%20b", "..%2F..%2Fa%20b"), ("v2@1;x", "v2@1%3Bx", "v2@1%3Bx")],
)
def test_the_folder_is_named_as_cosmovisor_names_it(tmp_path: Path, name: str, folder: str, as_named: str) -> None:
    plan, variables = json.dumps({"name": name, "height": 1}), {"DAEMON_HOME": str(tmp_path)}
    base = f"{tmp_path}/cosmovisor/upgrades"
    assert read(tmp_path, plan, variables)["upgrade_binary"] == f"{base}/{folder}/bin/virtengine"
    variables["COSMOVISOR_DISABLE_RECASE"] = "true"
    found = read(tmp_path, plan, variables)
    assert found["upgrade_binary"] == f"{base}/{as_named}/bin/virtengine" and found["plan"]["name"] == name


@pytest.mark.parametrize("base", ["", "relative", "${HOME}/x"])
def test_without_a_home_of_cosmovisor_the_program_cannot_be_told(tmp_path: Path, base: str) -> None:
    found = read(tmp_path, PLAN, {"DAEMON_HOME": base})
    assert found["cosmovisor"] is True
    assert found["upgrade_binary"] is found["upgrade_binary_present"] is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "malformed"),
        ("[]", "malformed"),
        ("{}", "malformed"),
        ("[" * 20000, "malformed"),
        ('{"name":"","height":5}', "malformed"),
        ('{"name":"a\\u0000b","height":5}', "malformed"),
        ('{"name":"v2","height":true}', "malformed"),
        ('{"name":"v2","height":0}', "malformed"),
        ('{"name":"v2","height":1.5}', "malformed"),
        ('{"name":"v2","height":9223372036854775808}', "malformed"),
        ('{"name":"v2","height":1,"info":"' + "x" * 1024 * 1024 + '"}', "too_large"),
    ],
)
def test_a_plan_that_is_none(tmp_path: Path, text: str, kind: str) -> None:
    with pytest.raises(parts.PartError) as caught:
        read(tmp_path, text)
    assert caught.value.kind == kind
