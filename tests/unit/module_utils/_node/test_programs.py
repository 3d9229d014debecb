# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program a start would run, and that its processes are seen wherever somebody started them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import process as _process
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd as _systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import collect, places, service

from tests.unit.module_utils._node.test_acting import Systemd
from tests.unit.module_utils._node.test_node import fake_proc, unit_of

UNIT = "virtengine.service"
INSIDE = f"/system.slice/{UNIT}"
SCAN = _process.scan


@pytest.mark.parametrize(
    ("line", "variables", "binary", "names"),
    [
        ("/usr/bin/virtengine start", {}, None, {"virtengine"}),
        ("/opt/ve/ve-node start", {"DAEMON_NAME": "foo"}, None, {"ve-node"}),
        ("/usr/bin/cosmovisor run start", {"DAEMON_NAME": "foo"}, None, {"foo"}),
        ("/usr/bin/cosmovisor start", {"DAEMON_NAME": "foo"}, None, {"foo"}),
        ("/usr/bin/cosmovisor run start", {"DAEMON_NAME": "/opt/bin/foo"}, None, {"foo"}),
        ("/usr/bin/cosmovisor run start", {}, None, {"virtengine"}),
        ("/usr/bin/cosmovisor run start", {"DAEMON_NAME": ""}, None, {"virtengine"}),
        ("/usr/bin/cosmovisor run start", {"DAEMON_NAME": "foo"}, "/opt/bar", {"foo", "bar"}),
        ("/usr/bin/cosmovisor run start", {"DAEMON_NAME": "sh"}, None, set()),
        ("/bin/sh -c foo", {"DAEMON_NAME": "foo"}, None, set()),
        ("", {"DAEMON_NAME": "foo"}, None, set()),
    ],
)
def test_the_program_that_a_start_would_run(
    line: str, variables: dict[str, str], binary: str | None, names: set[str]
) -> None:
    assert places.programs(unit_of(line, variables), binary) == names


def test_without_a_unit_only_what_the_user_said() -> None:
    assert places.programs(None, None) == set()
    assert places.programs(None, "/opt/bar") == {"bar"}


def test_a_file_of_variables_names_it_as_well(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("DAEMON_NAME=bar\n")
    unit = unit_of("/usr/bin/cosmovisor run start", {"DAEMON_NAME": "foo"})
    unit = unit._replace(environment_files=[(str(tmp_path / "env"), False)])
    assert places.programs(unit, None) == {"bar"}


def test_variables_that_cannot_be_read_leave_the_program_unknown(tmp_path: Path) -> None:
    unit = unit_of("/usr/bin/cosmovisor run start")._replace(environment_files=[(str(tmp_path / "away"), False)])
    with pytest.raises(PartError, match="which program cosmovisor runs is not known"):
        places.programs(unit, None)
    assert places.programs(unit, "/opt/foo") == {"virtengine", "foo"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """A unit under cosmovisor that is down, on a host whose processes are those below ``proc``."""
    systemd = Systemd(tmp_path, monkeypatch)
    systemd.argv = ["/usr/bin/cosmovisor", "run", "start"]
    systemd.environment = {"DAEMON_NAME": "foo", "DAEMON_HOME": "/srv"}
    roots = _process.Roots(str(tmp_path / "proc"), str(tmp_path / "cg"))
    monkeypatch.setattr(_process, "scan", functools.partial(SCAN, roots=roots))
    fake_proc(tmp_path / "proc", 1, "/sbin/init", "/init.scope")
    return systemd


@pytest.mark.parametrize(
    "line",
    [
        "/srv/cosmovisor/current/bin/foo start",
        "foo --home /srv start",
        "/srv/cosmovisor/upgrades/v2/bin/foo start --home /srv",
        "virtengine start",
    ],
)
def test_the_node_run_by_hand_is_seen_by_whoever_acts(host: Systemd, tmp_path: Path, line: str) -> None:
    fake_proc(tmp_path / "proc", 99, line, "/user.slice")
    with pytest.raises(Refused, match="pid 99"):
        service.unit_stopped(UNIT)
    with pytest.raises(Refused, match=r"outside virtengine\.service \(pid 99\)"):
        service.start(UNIT, 5, True)


@pytest.mark.parametrize("line", ["/srv/bin/foo query status", "/bin/grep foo start", "/srv/bin/food start", "foo"])
def test_what_is_no_node_keeps_nothing_from_being_done(host: Systemd, tmp_path: Path, line: str) -> None:
    fake_proc(tmp_path / "proc", 99, line, "/user.slice")
    assert service.unit_stopped(UNIT).argv == host.argv
    assert service.start(UNIT, 5, True).actions == [f"systemctl start {UNIT}"]


@pytest.mark.parametrize("line", ["/usr/bin/cosmovisor run start", "/usr/bin/cosmovisor start"])
def test_the_child_of_cosmovisor_is_the_process_of_the_unit(host: Systemd, tmp_path: Path, line: str) -> None:
    host.argv = line.split()
    host.facts.update(active_state="active", sub_state="running", main_pid=10, control_group=INSIDE)
    fake_proc(tmp_path / "proc", 10, line, INSIDE)
    fake_proc(tmp_path / "proc", 11, "/srv/cosmovisor/current/bin/foo start", INSIDE, "T")
    node = service.Node(UNIT)
    assert node.main and (node.main["pid"], node.main["state"]) == (11, "T") and node.others == []
    assert service.start(UNIT, 5, True).actions == [], "it is up: nothing is to be done"


def test_evidence_shows_both(host: Systemd, tmp_path: Path) -> None:
    host.facts.update(active_state="active", sub_state="running", main_pid=10, control_group=INSIDE)
    fake_proc(tmp_path / "proc", 10, "/usr/bin/cosmovisor run start", INSIDE)
    fake_proc(tmp_path / "proc", 11, "/srv/cosmovisor/current/bin/foo start", INSIDE)
    fake_proc(tmp_path / "proc", 99, "/home/ops/foo start --home /srv", "/user.slice")
    options = collect.Options(UNIT, None, None, None, 60, 8.0)
    seen: dict[str, Any] = collect._scan(options, _systemd.read(UNIT, 1))
    assert seen["main"]["pid"] == 11 and [other["pid"] for other in seen["others"]] == [99]
    assert seen["launch"]["of_unit"] and seen["launch"]["exe"] == "/srv/cosmovisor/current/bin/foo"
