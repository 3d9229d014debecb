# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at one host: whatever happens becomes an observation, and who holds a lock there is kept beside it."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.virtengine.incident.plugins.action import incident_assess, incident_observe
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller import looks

from tests.unit.action.steps import SCOPE, Run, Runs
from tests.unit.lamp import DARK, SOURCE

EVIDENCE = "virtengine.incident.lamp_evidence"
LOCK = "virtengine.incident.incident_lock"
OWN = {"scope": SCOPE, "owner": "run-9", "who": "eve@laptop", "age_s": 7}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    runs = Runs(tmp_path, monkeypatch)
    yield runs.new()
    runs.end()


def noted(run: Run, host: str = "api") -> t.Any:
    """The newest observation of a host."""
    number = looks.current(run.state)["number"]
    return run.state.noted(f"look{number}")[host][-1][0]


def locks(run: Run, host: str = "api") -> t.Any:
    return looks.locks_seen(run.state).get(host)


class Host:
    """A host that answers both modules, and remembers what it was asked."""

    def __init__(self, evidence: t.Any = None, lock: t.Any = None) -> None:
        self.asked: list[tuple[str, t.Any]] = []
        self.evidence = {"evidence": DARK if evidence is None else evidence}
        self.lock = {"locks": [OWN], "used_digests": ["lamp-0123456789abcdef"]} if lock is None else lock

    def __call__(self, module: str, args: t.Any) -> t.Any:
        self.asked.append((module, args))
        answer = self.lock if module == LOCK else self.evidence
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_what_a_host_shows_is_kept_as_an_observation_of_this_look(run: Run) -> None:
    host = Host()
    result = run.observe(host, args={"api": "/srv/api.json"})
    assert (result["ok"], result["error"], result["changed"]) == (True, None, False)
    entry = noted(run)
    assert entry == {"source": SOURCE, "host": "api", "look": 1, "at": result["at"], "ok": True, "data": DARK}
    assert host.asked[0] == (EVIDENCE, {"api": "/srv/api.json"})
    run.call(incident_assess)
    assert run.state.read("bundle")["observations"] == [entry]
    run.observe(Host({**DARK, "on": True}))
    assert noted(run)["look"] == 2


def test_locks_are_taken_out_of_the_evidence_and_kept(run: Run) -> None:
    part = {"ok": True, "data": {"locks": [{**OWN, "at": "x"}], "used": ["lamp-0123456789abcdef"]}}
    host = Host({**DARK, "responder_locks": part})
    run.observe(host)
    assert noted(run)["data"] == DARK, "who holds a lock is no evidence about the incident"
    assert locks(run) == {"ok": True, "locks": [OWN], "used": ["lamp-0123456789abcdef"]}
    assert [module for module, _args in host.asked] == [EVIDENCE]


def test_a_host_whose_module_says_nothing_of_locks_is_asked_for_them(run: Run) -> None:
    host = Host()
    run.observe(host)
    assert host.asked[1] == (LOCK, {"state": "observed"})
    assert locks(run) == {"ok": True, "locks": [OWN], "used": ["lamp-0123456789abcdef"]}


@pytest.mark.parametrize(
    "lock",
    [
        {"failed": True, "msg": "/run/lock is not a directory"},
        AnsibleConnectionFailure("no route"),
        {},
        {"locks": None, "used_digests": None},
        {"locks": 5, "used_digests": []},
        {"locks": [5], "used_digests": []},
        {"locks": [], "used_digests": {"a": 1}},
    ],
)
def test_where_locks_cannot_be_seen_the_evidence_counts_all_the_same(run: Run, lock: t.Any) -> None:
    assert run.observe(Host(lock=lock))["ok"]
    assert noted(run)["data"] == DARK
    assert locks(run) == {"ok": False, "locks": [], "used": []}, "which is never taken for no lock"


@pytest.mark.parametrize("part", ["x", 5, [1], {"ok": True}, {"ok": True, "data": {"locks": 5, "used": 5}}])
def test_evidence_with_something_else_in_the_place_of_locks_is_evidence(run: Run, part: t.Any) -> None:
    assert run.observe(Host({**DARK, "responder_locks": part}))["ok"]
    assert noted(run)["data"] == DARK
    assert locks(run)["ok"] is False


def test_a_host_without_evidence_is_not_asked_for_locks(run: Run) -> None:
    host = Host()
    host.evidence = {"unreachable": True, "msg": "no route"}
    run.observe(host)
    assert [module for module, _args in host.asked] == [EVIDENCE]
    assert locks(run) is None


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (
            AnsibleConnectionFailure("Failed to connect\nssh: no route"),
            "unreachable",
            "Failed to connect ssh: no route",
        ),
        ({"unreachable": True, "msg": "no route"}, "unreachable", "no route"),
        (AnsibleError("Missing sudo password"), "privilege", "Missing sudo password"),
        ({"failed": True, "msg": "sudo: a password is required"}, "privilege", "sudo: a password is required"),
        (
            {
                "failed": True,
                "module_stderr": "ops is not in the sudoers file",
                "module_stdout": "",
                "msg": "MODULE FAILURE",
            },
            "privilege",
            "MODULE FAILURE / ops is not in the sudoers file",
        ),
        (AnsibleError("no interpreter was found"), "failed", "no interpreter was found"),
        ({"failed": True, "module_stderr": "Traceback\x1b[2J", "msg": ""}, "failed", "Traceback [2J"),
        ({"msg": "no answer: refused", "invocation": {"module_args": {}}}, "failed", "no answer: refused"),
        ({}, "failed", "the module gave no evidence"),
        ({"error": {"kind": "refused", "text": "no\x1b[2J answer"}}, "refused", "no [2J answer"),
        ({"error": {"kind": ["x"], "text": None}}, "['x']", "None"),
        ({"error": {"kind": "refused"}, "msg": "no answer"}, "failed", "no answer"),
        ({"error": "no answer", "msg": "refused"}, "failed", "refused"),
        ({"error": ["kind", "text"]}, "failed", "the module gave no evidence"),
        ({"evidence": None}, "failed", "the module's answer is not evidence, or it is too large"),
        ({"evidence": [1]}, "failed", "the module's answer is not evidence, or it is too large"),
        ({"evidence": "{{ x }}"}, "failed", "the module's answer is not evidence, or it is too large"),
    ],
)
def test_whatever_is_no_evidence_is_an_observation_that_says_why(run: Run, answer: t.Any, kind: str, text: str) -> None:
    host = Host()
    host.evidence = answer
    result = run.observe(host)
    assert not result.get("failed"), "no host leaves the play"
    assert (result["ok"], result["error"]) == (False, {"kind": kind, "text": text})
    entry = noted(run)
    assert (entry["ok"], entry["error"]) == (False, result["error"])
    run.call(incident_assess)
    assert run.state.read("verdict")["status"] == "unknown"


def test_a_wrong_option_is_for_the_user_to_correct(run: Run) -> None:
    host = Host()
    said = "Unsupported parameters for (lamp_evidence) module: volts"
    host.evidence = {"failed": True, "msg": said, "invocation": {"module_args": {"volts": 5}}}
    result = run.observe(host, args={"volts": 5})
    assert (result["failed"], result["msg"]) == (True, said)
    assert run.state.noted("look1") == {}


def test_what_is_too_large_is_not_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_observe, "EVIDENCE_CAP", 1000)
    result = run.observe(Host({"journal": "x" * 1000}))
    assert result["error"]["text"] == "the module's answer is not evidence, or it is too large"
    assert len(json.dumps(noted(run))) < 500
    assert run.observe(Host({"journal": "x" * 900}))["ok"]


def test_a_host_that_hangs_is_late(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_observe, "GRACE_S", 0)

    def hang(_module: str, _args: t.Any) -> t.Any:
        time.sleep(20)

    started = time.monotonic()
    result = run.observe(hang, deadline=1)
    assert result["error"] == {"kind": "late", "text": "the host gave no answer within 1 s"}
    assert time.monotonic() - started < 5


def test_a_host_that_hangs_when_asked_for_locks_has_given_its_evidence(run: Run) -> None:
    def hang(module: str, _args: t.Any) -> t.Any:
        if module == LOCK:
            time.sleep(20)
        return {"evidence": DARK}

    assert run.observe(hang, deadline=1)["ok"]
    assert locks(run)["ok"] is False


def paused(run: Run, ago_s: float, pause_s: float) -> None:
    """The look before was so long ago, and this one follows it by so many seconds."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))
    looks.note(run.state, "api", [{"source": SOURCE, "host": "api", "look": 1, "at": at, "ok": True, "data": DARK}])
    looks.turn(run.state, pause_s)


@pytest.mark.parametrize(("ago_s", "least", "most"), [(100, 0.0, 0.0), (0, 58.0, 60.0), (30, 28.0, 31.0)])
def test_what_is_left_of_the_pause_is_waited_here(
    run: Run, monkeypatch: pytest.MonkeyPatch, ago_s: float, least: float, most: float
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    paused(run, ago_s, 60)
    host = Host()
    run.observe(host, args={"api": "x"}, deadline=20)
    assert len(slept) == 1 and least <= slept[0] <= most
    assert host.asked[0][1] == {"api": "x"}


def test_a_module_that_waits_by_itself_is_given_the_pause(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    bounds: list[int] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    real = incident_observe.bounded

    def bounded(connection: t.Any, seconds: int, work: t.Any) -> t.Any:
        bounds.append(seconds)
        return real(connection, seconds, work)

    monkeypatch.setattr(incident_observe, "bounded", bounded)
    paused(run, 30, 60)
    host = Host()
    run.observe(host, args={"api": "x"}, delay=True, deadline=20)
    delay = host.asked[0][1]["delay"]
    assert slept == [] and 28 <= delay <= 31
    assert host.asked[0][1] == {"api": "x", "delay": delay, "deadline": 20 + delay}
    assert bounds == [20 + delay + incident_observe.GRACE_S, 20], "the host has its whole deadline beside the pause"


def test_warnings_of_the_module_are_passed_on(run: Run) -> None:
    host = Host()
    host.evidence = {"evidence": DARK, "warnings": ["old firmware"], "deprecations": []}
    result = run.observe(host)
    assert result["warnings"] == ["old firmware"] and "deprecations" not in result


def test_templates_in_evidence_stay_text(run: Run) -> None:
    template = "{{ lookup('pipe', 'id') }}"
    run.observe(Host({**DARK, "name": template}))
    assert noted(run)["data"]["name"] == template


@pytest.mark.parametrize("host", ["../../etc/passwd", "\u202ehost", "a b", "x" * 300])
def test_a_host_may_be_called_anything(run: Run, host: str) -> None:
    result = run.call(incident_observe, {"inventory_hostname": host}, Host(), source=SOURCE)
    assert result["ok"] and noted(run, host)["host"] == host
