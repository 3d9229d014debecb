# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes a host: the lock, the override, start and thaw; and the observation of a host that fails."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.virtengine.incident.plugins.action import node_evidence
from ansible_collections.virtengine.incident.plugins.module_utils._host import dropin
from ansible_collections.virtengine.incident.plugins.module_utils._host import lock as _host_lock
from ansible_collections.virtengine.incident.plugins.module_utils._host import process as _process
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd as _systemd
from ansible_collections.virtengine.incident.plugins.module_utils._node import service
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller import deadline

DIGEST = "halt-0123456789abcdef"


def lock(root: Path, chain: str = "chain-1") -> _host_lock.Lock:
    return _host_lock.Lock(chain, str(root / "locks"), str(root / "spent"))


def test_one_of_many_gets_the_lock(tmp_path: Path) -> None:
    won: list[str] = []

    def run(name: str) -> None:
        try:
            if lock(tmp_path).acquire(name, "who", ""):
                won.append(name)
        except _host_lock.Refused:
            pass

    threads = [threading.Thread(target=run, args=(f"run{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    holder = lock(tmp_path).holder()
    assert len(won) == 1 and holder and holder["owner"] == won[0]
    assert sorted(os.listdir(tmp_path / "locks")) == ["chain-1.json"]


def test_only_the_owner_gives_the_lock_back(tmp_path: Path) -> None:
    assert lock(tmp_path).release("a") is False
    assert lock(tmp_path).acquire("a", "alice@laptop", DIGEST) is True
    assert lock(tmp_path).acquire("a", "alice@laptop", DIGEST) is False
    assert lock(tmp_path).release("b") is False
    with pytest.raises(_host_lock.Refused, match=r"held by a \(alice@laptop, \d+ s ago\)"):
        lock(tmp_path).acquire("b", "", "")
    assert lock(tmp_path, "chain-2").acquire("b", "", "") is True
    assert lock(tmp_path).release("a") is True and lock(tmp_path).holder() is None


def test_a_lock_file_that_cannot_be_read_holds(tmp_path: Path) -> None:
    lock(tmp_path).acquire("a", "", "")
    (tmp_path / "locks/chain-1.json").write_text("torn")
    holder = lock(tmp_path).holder()
    assert holder and holder["owner"] == ""
    with pytest.raises(_host_lock.Refused, match="unreadable"):
        lock(tmp_path).acquire("a", "", "")


def test_a_directory_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(0o777)
    with pytest.raises(_host_lock.Refused, match="who made it"):
        lock(tmp_path).acquire("a", "", "")
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "spent").symlink_to(tmp_path / "real")
    with pytest.raises(_host_lock.Refused):
        lock(tmp_path).spend(DIGEST)


def test_a_digest_is_used_once_and_a_torn_line_hides_none(tmp_path: Path) -> None:
    assert lock(tmp_path).spend(DIGEST) is True
    assert lock(tmp_path).spend(DIGEST) is False
    with open(tmp_path / "spent/chain-1.spent", "a", encoding="ascii") as stream:
        stream.write("halt-00")
    other = "halt-ffffffffffffffff"
    assert lock(tmp_path).spend(other) is True
    assert lock(tmp_path).spent() == [DIGEST, other]


def test_file_names_of_chain_ids() -> None:
    names = [_host_lock.safe_name(name) for name in ("a-1", "../../etc/x", "a/b", "a_b", "..", "", "x" * 200, "é")]
    assert names[0] == "a-1" and len(set(names)) == len(names)
    assert all("/" not in name and not name.startswith(".") and name for name in names)


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


def test_the_override_comes_and_goes(systemd: Systemd) -> None:
    drop_in = systemd.drop_in
    assert dropin.ensure(drop_in, True, True)["changed"] and not os.path.exists(drop_in.path)
    assert dropin.ensure(drop_in, True, False)["changed"] and drop_in.text() == dropin.TEXT
    assert not dropin.ensure(drop_in, True, False)["changed"]
    assert os.listdir(os.path.dirname(drop_in.path)) == [dropin.NAME]
    assert dropin.ensure(drop_in, False, False)["changed"]
    assert not dropin.ensure(drop_in, False, False)["changed"]
    assert not os.path.exists(os.path.dirname(drop_in.path))


def test_an_override_that_a_killed_run_left_half_done_is_completed(systemd: Systemd) -> None:
    os.makedirs(os.path.dirname(systemd.drop_in.path))
    Path(systemd.drop_in.path).write_text(dropin.TEXT)
    assert dropin.ensure(systemd.drop_in, True, False)["changed"] and systemd.loaded
    os.unlink(systemd.drop_in.path)
    assert dropin.ensure(systemd.drop_in, False, False)["changed"] and not systemd.loaded


def test_an_override_without_effect_is_refused(systemd: Systemd, tmp_path: Path) -> None:
    systemd.argv = ["/usr/bin/virtengine", "start", "--consensus.double_sign_check_height=10"]
    with pytest.raises(dropin.Refused, match="overrules"):
        dropin.ensure(systemd.drop_in, True, False)
    systemd.argv = ["/usr/local/bin/run.sh"]
    with pytest.raises(dropin.Refused, match="cannot be told"):
        dropin.ensure(systemd.drop_in, True, False)
    systemd.argv = ["/usr/bin/virtengine", "start"]
    (tmp_path / "env").write_text(f"{dropin.KEY.variable}=10\n")
    systemd.files = [(str(tmp_path / "env"), False)]
    with pytest.raises(dropin.Refused, match="EnvironmentFile"):
        dropin.ensure(systemd.drop_in, True, False)
    systemd.files = []
    systemd.environment = {dropin.KEY.variable: "10"}
    with pytest.raises(dropin.Refused, match="taken back"):
        dropin.ensure(systemd.drop_in, True, False)
    assert not os.path.exists(systemd.drop_in.path)


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
