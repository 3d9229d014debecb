# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping a node: what is stopped, when it counts as gone, and when files of it may be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import service

from tests.unit.module_utils._node.test_acting import Systemd

UNIT = "virtengine.service"


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    made = Systemd(tmp_path, monkeypatch)
    made.facts.update(active_state="active", sub_state="running", main_pid=7)
    return made


def stops(systemd: Systemd, monkeypatch: pytest.MonkeyPatch, after: int = 0, **left: Any) -> None:
    """systemctl stop works, and is seen to have worked after so many looks."""
    asked, read = systemd.command, systemd.read
    looks = [-1]

    def command(argv: list[str], timeout: float) -> Any:
        answer = asked(argv, timeout)
        if argv[1] == "stop":
            looks[0] = after
            systemd.facts.update(active_state="deactivating", sub_state="stop-sigterm")
        return answer

    def look(name: str, timeout: float) -> Any:
        if looks[0] == 0:
            systemd.facts.update({"active_state": "inactive", "sub_state": "dead", "main_pid": None, **left})
        looks[0] -= looks[0] > 0
        return read(name, timeout)

    monkeypatch.setattr(service, "command", command)
    monkeypatch.setattr(service.systemd, "read", look)


def test_stop_and_stop_again(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    stops(systemd, monkeypatch, after=2)
    predicted = service.stop(UNIT, 5, True)
    assert systemd.commands == [] and predicted.after["active_state"] == "inactive"
    done = service.stop(UNIT, 5, False)
    assert done.actions == predicted.actions == [f"systemctl stop {UNIT}"]
    assert systemd.commands == [["systemctl", "stop", UNIT, "--no-block"]]
    assert done.before["main_pid"] == 7 and done.after["active_state"] == "inactive" and done.after["process"] is None
    assert service.stop(UNIT, 5, False).actions == []


def test_a_unit_that_is_restarted_again_and_again_is_stopped(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd.facts.update(active_state="activating", sub_state="auto-restart", main_pid=None)
    stops(systemd, monkeypatch)
    assert service.stop(UNIT, 5, False).actions == [f"systemctl stop {UNIT}"]


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_what_is_down_is_left_alone(systemd: Systemd, state: str) -> None:
    systemd.facts.update(active_state=state, main_pid=None)
    assert service.stop(UNIT, 5, False).actions == [] and systemd.commands == []


def test_a_unit_that_is_down_with_a_process_left_is_not_gone(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd.facts.update(active_state="inactive")
    stops(systemd, monkeypatch)
    assert service.stop(UNIT, 5, False).actions == [f"systemctl stop {UNIT}"]


def test_a_stop_that_takes_too_long_says_what_is_left(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    stops(systemd, monkeypatch, after=10**6)
    with pytest.raises(Refused, match=r"still deactivating after 0 s \(processes: 7\)") as caught:
        service.stop(UNIT, 0.3, False)
    assert caught.value.actions == [f"systemctl stop {UNIT}"]


def test_a_frozen_node_is_not_stopped(systemd: Systemd) -> None:
    systemd.process["state"] = "T"
    with pytest.raises(Refused, match="Thaw it first"):
        service.stop(UNIT, 5, False)
    assert systemd.commands == []


@pytest.mark.parametrize(
    ("facts", "others", "why"),
    [
        ({"active_state": "active"}, [], "is active"),
        ({"active_state": "deactivating"}, [], "is deactivating"),
        ({"active_state": "activating", "main_pid": None}, [], "about to start"),
        ({"active_state": "failed", "main_pid": 7}, [], "pid 7"),
        ({"active_state": "inactive", "main_pid": None}, [{"pid": 99}], "pid 99"),
    ],
)
def test_files_of_a_node_that_runs_are_not_changed(
    systemd: Systemd, facts: dict[str, Any], others: list[dict[str, Any]], why: str
) -> None:
    systemd.facts.update(facts)
    systemd.others = others
    with pytest.raises(Refused, match=why):
        service.unit_stopped(UNIT)


def test_a_node_whose_unit_is_stopped(systemd: Systemd) -> None:
    for state in ("inactive", "failed"):
        systemd.facts.update(active_state=state, main_pid=None)
        assert service.unit_stopped(UNIT).facts["active_state"] == state
