# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes a host: start and thaw."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import process as _process
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd as _systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import dropin, service


class Systemd:
    """A systemd of one unit, as far as the modules ask it."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.facts: dict[str, Any] = {
            "load_state": "loaded", "active_state": "inactive", "sub_state": "dead", "unit_file_state": "enabled",
            "result": "success", "restarts": 0, "exit_kind": None, "exit_status": None, "main_pid": None,
            "started_at": None, "control_group": "/none", "freezer_state": "running",
        }  # fmt: skip
        self.argv = ["/usr/bin/virtengine", "start"]
        self.environment: dict[str, str] = {}
        self.files: list[tuple[str, bool]] = []
        self.commands: list[list[str]] = []
        self.process: dict[str, Any] = {"pid": 7, "state": "S", "frozen": False}
        self.others: list[dict[str, Any]] = []
        self.drop_in = dropin.DropIn("virtengine.service", str(tmp_path / "run"))
        self.loaded = ""
        for module in (service, dropin):
            monkeypatch.setattr(module, "command", self.command)
        monkeypatch.setattr(_systemd, "read", self.read)
        monkeypatch.setattr(_systemd, "show", self.show)
        monkeypatch.setattr(_process, "scan", self.scan)
        monkeypatch.setattr(_process, "members", lambda unit: [self.process] if self.facts["main_pid"] else [])
        monkeypatch.setattr(service, "STEADY_S", 0.3)

    def command(self, argv: list[str], timeout: float) -> Any:
        self.commands.append(argv)
        if argv[1] == "daemon-reload":
            self.loaded = self.drop_in.text()
        if argv[1] == "start":
            self.facts.update(active_state="active", sub_state="running", main_pid=7)
        return _systemd.command(["true"], timeout)

    def read(self, name: str, timeout: float) -> _systemd.Unit:
        return _systemd.Unit(dict(self.facts), self.argv, self.environment, self.files, "root", "")

    def show(self, name: str, timeout: float) -> dict[str, list[str]]:
        override = {dropin.KEY.variable: "0"} if self.loaded else {}
        variables = {**override, **self.environment}
        return {
            "DropInPaths": [self.drop_in.path if self.loaded else ""],
            "Environment": [" ".join(f"{name}={value}" for name, value in variables.items())],
        }

    def scan(self, unit: Any, names: Any) -> _process.Found:
        main = _process.Seen(self.process, [], {}) if self.facts["main_pid"] else None
        return _process.Found(main, [_process.Seen(other, [], {}) for other in self.others])


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    return Systemd(tmp_path, monkeypatch)


def test_start_and_start_again(systemd: Systemd) -> None:
    systemd.facts["active_state"] = "failed"
    predicted = service.start("virtengine.service", 5, True)
    assert systemd.commands == [] and predicted.after["active_state"] == "active"
    done = service.start("virtengine.service", 5, False)
    assert done.actions == predicted.actions
    assert [argv[1] for argv in systemd.commands] == ["reset-failed", "start"]
    assert service.start("virtengine.service", 5, False).actions == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unit_file_state": "masked", "load_state": "masked"}, "masked"),
        ({"unit_file_state": "disabled"}, "disabled"),
        ({"load_state": "bad-setting"}, "cannot be loaded"),
        ({"main_pid": 7}, "still runs"),
    ],
)
def test_units_that_are_not_started(systemd: Systemd, change: dict[str, Any], why: str) -> None:
    systemd.facts.update(change)
    with pytest.raises(Refused, match=why):
        service.start("virtengine.service", 5, False)
    assert systemd.commands == []


def test_a_node_that_runs_outside_its_unit_is_not_started_twice(systemd: Systemd) -> None:
    systemd.others = [{"pid": 99}]
    with pytest.raises(Refused, match="pid 99"):
        service.start("virtengine.service", 5, True)


def test_a_node_that_does_not_stay_up_is_a_failure_with_what_was_done(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = systemd.command

    def dies(argv: list[str], timeout: float) -> Any:
        answer = started(argv, timeout)
        systemd.facts.update(active_state="activating", sub_state="auto-restart", main_pid=None, exit_kind="exited")
        return answer

    monkeypatch.setattr(service, "command", dies)
    with pytest.raises(Refused, match="did not stay up") as caught:
        service.start("virtengine.service", 1, False)
    assert caught.value.actions == ["systemctl start virtengine.service"]


def test_thaw_continues_what_is_stopped_and_nothing_else(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = []

    def kill(pid: int, number: int) -> None:
        killed.append((pid, number))
        systemd.process["state"] = "S"

    monkeypatch.setattr(service.os, "kill", kill)
    assert service.thaw("virtengine.service", 1, False).actions == []
    systemd.facts.update(active_state="active", main_pid=7)
    systemd.process["state"] = "T"
    assert service.thaw("virtengine.service", 1, True).actions == ["kill -CONT 7"] and killed == []
    assert service.thaw("virtengine.service", 1, False).after["frozen_pids"] == []
    assert killed == [(7, signal.SIGCONT)]


def test_thaw_that_does_not_help_says_so(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.os, "kill", lambda pid, number: None)
    systemd.facts.update(active_state="active", main_pid=7)
    systemd.process["state"] = "T"
    with pytest.raises(Refused, match="still frozen"):
        service.thaw("virtengine.service", 0.3, False)
