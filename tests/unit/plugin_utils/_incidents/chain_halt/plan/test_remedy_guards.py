# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each guard of stopping a node, of clearing its halt height and of putting its log back. None is ever open."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import Witness
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.stated import halted_by
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import guards
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.remedies import halt_height
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.remedies.table import REMEDIES

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.blocked import FAILED, LOST, PAST, SAID, failed, halting, wal

ROWS = [r.row(r.ADDRESS_V, 60, "vv", "voting"), r.row(r.ADDRESS_S, 40, "vs", "not_voting", counts_as="unknown")]


def raw(*marks: dict[str, t.Any], running: bool = True, **parts: t.Any) -> dict[str, t.Any]:
    made = r.data(running)
    made["unit"]["data"]["started_at"] = r.STOPPED
    made["journal"]["data"]["marks"] = list(marks)
    made["config"]["data"].update(halting())
    made["wal"] = wal(0, ("cs.wal.bak", r.HEIGHT))
    made.update(parts)
    return made


HALT_MARKS = (r.mark("halt_height", FAILED), r.mark("consensus_failure", FAILED))
WAL_MARKS = (r.mark("wal_missing", LOST), r.mark("signing_regression"))


def dead(**changes: t.Any) -> t.Any:
    return r.node("vs", changes.pop("raw", raw(*HALT_MARKS)), state="not_voting", since=r.moment(r.STOPPED), **changes)


def without_log(**changes: t.Any) -> t.Any:
    return r.node("vs", changes.pop("raw", raw(*WAL_MARKS)), **{"state": "not_voting", **changes})


def seen(node: t.Any, **changes: t.Any) -> t.Any:
    return r.reading([node, r.voter()], **{"rows": ROWS, "bundle": {"settings": dict(SAID)}, **changes})


def stop(node: t.Any, moving: bool = False, **changes: t.Any) -> dict[str, str]:
    return r.states(guards.ask("stop_node", r.case(seen(node, **changes), node, moving=moving)))


def test_a_dead_node_and_one_without_its_log_may_be_stopped_in_a_halt() -> None:
    for node in (dead(), without_log(), dead(in_set=False)):
        assert set(stop(node).values()) == {"clear"}


YOUNG = {"stands_still": None, "age_s": 5.0}
MOVED = {"stands_still": None, "age_s": 500.0, "moved": True}
SPLIT = {"stands_still": None, "age_s": 500.0, "split": True}


def test_before_a_step_an_old_block_is_enough_for_the_halt_that_the_plan_saw_twice() -> None:
    assert stop(dead(), stands_still=None, confirmed=False, age_s=500.0)["halted"] == "clear"


@pytest.mark.parametrize("changes", [{"stands_still": False}, YOUNG, MOVED, SPLIT])
def test_only_an_established_halt_lets_a_node_be_stopped(changes: dict[str, t.Any]) -> None:
    assert stop(dead(), **changes)["halted"] == "refused"
    assert stop(dead(), moving=True, **changes)["halted"] == "clear"


def test_a_node_that_votes_is_never_stopped() -> None:
    voting = [ROWS[0], r.row(r.ADDRESS_S, 40, "vs", "voting")]
    assert stop(dead(), rows=voting)["not_voting"] == "refused"
    assert stop(r.node("vs", raw(), state="voting"))["not_voting"] == "refused"


@pytest.mark.parametrize("state", ["not_voting", "busy", "unknown", "voting", "running", "frozen", "unreachable"])
def test_without_proof_of_its_death_a_node_is_not_stopped(state: str) -> None:
    assert stop(r.node("vs", raw(), state=state))["takes_no_part"] == "refused"
    old = (r.mark("consensus_failure", FAILED, current=False), r.mark("wal_missing", LOST, current=False))
    assert stop(r.node("vs", raw(*old), state=state))["takes_no_part"] == "refused"


def test_a_crash_loop_may_be_ended() -> None:
    assert stop(r.node("vs", raw(), state="crashed"))["takes_no_part"] == "clear"


def test_a_full_node_without_its_log_is_not_stopped() -> None:
    assert stop(without_log(in_set=False))["takes_no_part"] == "refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"votes": {r.ADDRESS_S: (r.vote(r.HEIGHT + 1, 7),)}},
        {"heard": {r.ADDRESS_S: (r.vote(r.HEIGHT + 1, 7),)}},
        {"outside": (Witness("peer 1", "peer", r.HEIGHT + 1, frozenset([r.ADDRESS_S]), frozenset()),)},
        {"votes_height": None},
    ],
)
def test_a_vote_at_this_height_keeps_a_node_without_its_log_running(changes: dict[str, t.Any]) -> None:
    assert stop(without_log(), **changes)["takes_no_part"] == "refused"


@pytest.mark.parametrize(
    ("config", "said", "name"),
    [
        ({}, None, "halt_is_over"),
        ({}, {**SAID, "incident_halt_is_over": 99}, "halt_is_over"),
        (halting(100, 0, "flag"), SAID, "configuration"),
        (halting(100, 0, "env"), SAID, "configuration"),
        (halting(None, 0), SAID, "configuration"),
        ({"halt_height": "rubbish"}, SAID, "configuration"),
    ],
)
def test_what_keeps_a_halt_height(config: dict[str, t.Any], said: t.Any, name: str) -> None:
    data = raw(*HALT_MARKS)
    data["config"]["data"].update(config)
    node = dead(raw=data)
    reading = seen(node, bundle={"settings": dict(said or {})})
    found = r.states(guards.ask("clear_halt_height", r.case(reading, node, stopping=True)))
    assert found[name] == "refused"


def test_a_flag_of_zero_beside_a_time_in_the_file_is_no_obstacle() -> None:
    text = failed(0, 5)
    data = raw(r.mark("halt_height", text), r.mark("consensus_failure", text))
    data["config"]["data"].update(halting(0, 5))
    data["config"]["data"]["halt_height"]["source"] = "flag"
    node = dead(raw=data)
    assert set(r.states(guards.ask("clear_halt_height", r.case(seen(node), node, stopping=True))).values()) == {"clear"}


@pytest.mark.parametrize(
    ("change", "stopping", "state"),
    [
        ({}, False, "refused"),
        ({}, True, "clear"),
        ({"unit": r.error("late")}, True, "refused"),
        ({"process": r.error("privilege")}, True, "refused"),
    ],
)
def test_files_change_only_while_the_node_is_down(change: dict[str, t.Any], stopping: bool, state: str) -> None:
    for node in (dead(raw=raw(*HALT_MARKS, **change)), without_log(raw=raw(*WAL_MARKS, **change))):
        assert (
            r.states(guards.ask("clear_halt_height", r.case(seen(node), node, stopping=stopping)))["unit_stopped"]
            == state
        )
        assert (
            r.states(guards.ask("put_wal_back", r.case(seen(node), node, stopping=stopping)))["unit_stopped"] == state
        )


def test_a_stopped_node_is_down_unless_systemd_tries_again() -> None:
    node = r.node("vs", raw(*WAL_MARKS, running=False), state="stopped")
    assert set(r.states(guards.ask("put_wal_back", r.case(seen(node), node))).values()) == {"clear"}
    again = raw(*WAL_MARKS, running=False)
    again["unit"]["data"].update(active_state="activating", sub_state="auto-restart")
    node = r.node("vs", again, state="crashed")
    assert r.states(guards.ask("put_wal_back", r.case(seen(node), node)))["unit_stopped"] == "refused"


@pytest.mark.parametrize(
    ("part", "changes", "state"),
    [
        (wal(0, ("cs.wal.bak", 100)), {}, "clear"),
        (wal(None, ("cs.wal.bak", 100)), {}, "clear"),
        (wal(None, ("cs.wal.bak", 100), present=False), {}, "clear"),
        (wal(0, ("cs.wal.bak", 100), ("cs.wal.incident-halt-0123456789abcdef", 0)), {}, "clear"),
        (wal(0, ("cs.wal.bak", 100)), {"height": 100}, "clear"),
        (wal(0, ("cs.wal.bak", 100)), {"height": 99}, "refused"),
        (wal(100, ("cs.wal.bak", 100)), {}, "refused"),
        (wal(0, ("cs.wal.bak", 100), ("cs.wal.old", 100)), {}, "refused"),
        (wal(0, ("cs.wal.bak", 101)), {}, "refused"),
        (wal(0), {}, "refused"),
        (r.ok({"copies": [{"last_end_height": 100}]}), {}, "refused"),
        (r.ok({"copies": "x", "present": 1}), {}, "refused"),
        (r.error("failed"), {}, "refused"),
    ],
)
def test_which_log_is_put_back(part: dict[str, t.Any], changes: dict[str, t.Any], state: str) -> None:
    node = without_log(raw=raw(*WAL_MARKS, wal=part), **changes)
    assert r.states(guards.ask("put_wal_back", r.case(seen(node), node, stopping=True)))["wal_copy"] == state


def test_a_log_lost_at_another_height_is_not_put_back() -> None:
    node = without_log()
    assert (
        r.states(guards.ask("put_wal_back", r.case(seen(node), node, r.HEIGHT + 1, stopping=True)))["wal_copy"]
        == "refused"
    )


@pytest.mark.parametrize(
    ("part", "back"),
    [
        (wal(100, ("cs.wal.incident-halt-0123456789abcdef", 0)), True),
        (wal(99, ("cs.wal.incident-halt-0123456789abcdef", 0)), False),
        (wal(101, ("cs.wal.incident-halt-0123456789abcdef", 0)), False),
        (wal(None), False),
        (wal(100, present=False), False),
        (r.error("late"), False),
    ],
)
def test_when_a_log_is_back(part: dict[str, t.Any], back: bool) -> None:
    node = r.node("vs", raw(*WAL_MARKS, running=False, wal=part), state="stopped")
    assert r.states(guards.start_guards(r.case(seen(node), node)))["journal"] == ("clear" if back else "refused")
    assert r.states(guards.start_guards(r.case(seen(node), node), {"wal_missing"}))["journal"] == "clear"


@pytest.mark.parametrize(
    ("config", "said", "state"),
    [
        (halting(0, 0), SAID, "clear"),
        (halting(0, 0), None, "refused"),
        (halting(0, 0), {**SAID, "incident_halt_is_over": 99}, "refused"),
        (halting(100, 0), SAID, "refused"),
        (halting(0, 5), SAID, "refused"),
        (halting(0, None), SAID, "refused"),
        (halting(None, 0), SAID, "refused"),
    ],
)
def test_when_a_halt_height_is_gone(config: dict[str, t.Any], said: t.Any, state: str) -> None:
    data = raw(*HALT_MARKS, running=False)
    data["config"]["data"].update(config)
    node = r.node("vs", data, state="stopped")
    reading = seen(node, bundle={"settings": dict(said or {})})
    assert r.states(guards.start_guards(r.case(reading, node)))["journal"] == state


def test_no_remedy_clears_another_reason() -> None:
    every = {remedy.blocker for remedy in REMEDIES}
    for kind in ("read_only", "database_damaged", "consensus_failure", "panic", "wal_damaged", "handshake_failed"):
        marks = [mark for mark in (*HALT_MARKS, *WAL_MARKS) if mark["kind"] != kind]
        node = r.node("vs", raw(*marks, r.mark(kind), running=False), state="stopped")
        assert r.states(guards.start_guards(r.case(seen(node), node), every))["journal"] == "refused", kind


def test_a_vote_since_its_consensus_died_is_another_machines() -> None:
    for at, state in (("2026-01-30T12:00:01Z", "clear"), ("2026-01-30T12:05:00Z", "refused")):
        node = dead()
        reading = seen(node, votes={r.ADDRESS_S: (r.vote(at=at),)})
        assert r.states(guards.start_guards(r.case(reading, node)))["votes"] == state
    unknown = r.node("vs", raw(*HALT_MARKS), state="not_voting", since=None)
    assert r.states(guards.start_guards(r.case(seen(unknown), unknown)))["votes"] == "open"


def test_what_a_node_that_halts_by_time_is_asked_about() -> None:
    for text, config, stands_at, height in (
        (failed(0, PAST), halting(0, PAST), 100, 100),
        (failed(0, PAST), halting(0, 0), 100, 100),
        (failed(0, PAST), halting(7), 9, 9),
        (failed(400, PAST), halting(400, PAST), 100, 100),
        (failed(7, 0), halting(9), 9, 7),
        ("halt per configuration", halting(7), 9, 7),
        ("halt per configuration", halting(400), 100, 100),
    ):
        data = raw(r.mark("halt_height", text), r.mark("consensus_failure", text))
        data["config"]["data"].update(config)
        node = dead(raw=data)
        assert halt_height.halts_at(r.case(seen(node), node, stands_at)) == height


def test_of_two_runs_the_newer_one_says_why_it_halted() -> None:
    older = {**r.mark("halt_height", failed(90)), "last_at": "2026-01-30T11:00:00Z"}
    for marks in ((older, r.mark("halt_height", failed())), (r.mark("halt_height", failed()), older)):
        node = dead(raw=raw(*marks))
        assert halted_by(seen(node), node, node.data) == (100, 0)


def test_without_the_time_of_the_last_block_a_halt_time_is_not_judged() -> None:
    data = raw(*HALT_MARKS)
    data["config"]["data"].update(halting(100, 5))
    node = dead(raw=data)
    assert halt_height.reached(r.case(seen(node, last_block_at=None), node)) is None
    found = r.states(guards.ask("clear_halt_height", r.case(seen(node, last_block_at=None), node, stopping=True)))
    assert found["configuration"] == "refused"


@pytest.mark.parametrize(
    ("expected", "state"),
    [
        (None, "clear"),
        ({"expected": 100, "expected_time": 0}, "clear"),
        ({"expected": 100, "expected_time": 5}, "refused"),
        ({"expected": 99, "expected_time": 0}, "refused"),
        ({}, "refused"),
    ],
)
def test_only_the_approved_values_are_cleared(expected: dict[str, int] | None, state: str) -> None:
    node = dead()
    found = r.states(
        guards.ask(
            "clear_halt_height",
            r.case(seen(node), node, stopping=True, approved=expected),
        )
    )
    assert found["configuration"] == state


def test_a_refused_block_of_somebody_is_no_reason_against_a_start() -> None:
    node = r.node("vs", raw(r.mark("proposal_refused"), running=False), state="stopped")
    assert r.states(guards.start_guards(r.case(seen(node), node)))["journal"] == "clear"


@pytest.mark.parametrize(("who", "state"), [("conflicts", "refused"), ("disputed", "open"), (None, "clear")])
def test_two_votes_in_one_place(who: str | None, state: str) -> None:
    """Our own nodes show it, or a reference says so, which may lie: only a person may believe that it does."""
    node = r.node("vs", raw(running=False), state="stopped")
    reading = seen(node, **({who: frozenset({r.ADDRESS_S})} if who else {}))
    assert r.states(guards.start_guards(r.case(reading, node)))["no_equivocation"] == state
    assert r.states(guards.ask("thaw_node", r.case(reading, node)))["no_equivocation"] == state


@pytest.mark.parametrize(
    ("signed", "ends", "state"),
    [
        (r.HEIGHT + 1, r.HEIGHT, "clear"),
        (r.HEIGHT + 1, 5, "open"),
        (r.HEIGHT + 1, None, "clear"),
        (r.HEIGHT, 5, "clear"),
    ],
)
def test_a_log_that_lacks_the_height_that_is_being_decided(signed: int, ends: int | None, state: str) -> None:
    data = raw(running=False)
    data["signer"]["data"]["state"]["height"] = signed
    data["wal"] = wal(ends)
    node = r.node("vs", data, state="stopped")
    assert r.states(guards.start_guards(r.case(seen(node), node)))["wal"] == state
