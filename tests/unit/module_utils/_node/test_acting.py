# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes a host: start and thaw; and the observation of a host that fails."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.virtengine.incident.plugins.action import node_evidence
from ansible_collections.virtengine.incident.plugins.module_utils._host import process as _process
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd as _systemd
from ansible_collections.virtengine.incident.plugins.module_utils._node import dropin, service
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller import deadline


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
    with pytest.raises(service.Refused, match=why):
        service.start("virtengine.service", 5, False)
    assert systemd.commands == []


def test_a_node_that_runs_outside_its_unit_is_not_started_twice(systemd: Systemd) -> None:
    systemd.others = [{"pid": 99}]
    with pytest.raises(service.Refused, match="pid 99"):
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
    with pytest.raises(service.Refused, match="did not stay up") as caught:
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
    with pytest.raises(service.Refused, match="still frozen"):
        service.thaw("virtengine.service", 0.3, False)


class Silent:
    """The parts of an action plugin's surroundings that a run touches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
        self.action = node_evidence.ActionModule.__new__(node_evidence.ActionModule)
        shell = type("Shell", (), {"tmpdir": "/remote/tmp"})()
        self.action._connection = type("Connection", (), {"_shell": shell})()
        self.action._task = type("Task", (), {"args": {"look": 2, "deadline": 1}})()
        monkeypatch.setattr(node_evidence.ActionBase, "run", lambda *args: {})
        monkeypatch.setattr(node_evidence, "GRACE_S", 0)
        monkeypatch.setattr(self.action, "_execute_module", lambda **kwargs: answer())

    def run(self) -> dict[str, Any]:
        result: dict[str, Any] = self.action.run(task_vars={"inventory_hostname": "vh1"})
        return result


def fails(error: Exception) -> Any:
    def answer() -> None:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (fails(AnsibleConnectionFailure("ssh: connect to host port 22: Connection timed out")), "unreachable"),
        (fails(AnsibleError("Missing sudo password")), "privilege"),
        (fails(AnsibleError("something else")), "failed"),
        (lambda: time.sleep(5), "late"),
        (lambda: {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "/bin/sh: python3: not found"}, "failed"),
        (lambda: {"failed": True, "msg": "x", "module_stderr": "sudo: a password is required"}, "privilege"),
        (lambda: {"unreachable": True, "msg": "gone"}, "unreachable"),
        (lambda: {"evidence": [1]}, "failed"),
        (lambda: {"evidence": {"schema": 2}}, "failed"),
        (dict, "failed"),
    ],
)
def test_whatever_happens_is_an_observation(monkeypatch: pytest.MonkeyPatch, answer: Any, kind: str) -> None:
    begun = time.monotonic()
    result = Silent(monkeypatch, answer).run()
    seen = result["observation"]
    assert time.monotonic() - begun < 3
    assert not result.get("failed") and not result.get("unreachable") and result["changed"] is False
    assert (seen["source"], seen["host"], seen["look"], seen["ok"]) == ("node_evidence", "vh1", 2, False)
    assert seen["error"]["kind"] == kind and seen["error"]["text"]


def test_evidence_is_handed_on_and_a_wrong_option_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Silent(monkeypatch, lambda: {"evidence": {"schema": 1}}).run()["observation"]
    assert seen["ok"] and seen["data"] == {"schema": 1}
    wrong = Silent(monkeypatch, lambda: {"failed": True, "msg": "bad unit", "invocation": {}}).run()
    assert wrong["failed"] and wrong["msg"] == "bad unit"


def test_a_silent_host_is_not_asked_to_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Silent(monkeypatch, lambda: time.sleep(5))
    silent.run()
    assert silent.action._connection._shell.tmpdir is None


def test_the_earlier_alarm_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(BaseException):
        pass

    def ring(number: int, frame: Any) -> None:
        raise Theirs

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.alarm(1)
        with pytest.raises(Theirs), deadline._Alarm(5):
            time.sleep(3)
        signal.alarm(30)
        with pytest.raises(deadline._Late), deadline._Alarm(1):
            time.sleep(3)
        assert 25 <= signal.alarm(0) <= 30 and signal.getsignal(signal.SIGALRM) is ring
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
