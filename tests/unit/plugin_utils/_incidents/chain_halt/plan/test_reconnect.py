# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that is open again while the nodes wait: when they dial, and which of them is restarted for it."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.peers import next_dial
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import (
    CHAIN_HALT as HALT,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence.values import seconds, stamp
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import checked, finished
from tests.unit.plugin_utils._incidents.chain_halt.plan.waiting import (
    HOSTS,
    RECORDED,
    Change,
    ahead,
    anonymous,
    began,
    changed,
    connected,
    dials,
    down,
    forget,
    given_up,
    hangs_on,
    listed,
    log,
    one_peer,
    planned,
    recorded,
    restarted,
    shown_by,
    towards,
    unchanged,
    undated,
    votes_elsewhere,
    with_log,
    without_marks,
)


@pytest.mark.parametrize(
    ("began", "now", "dial"),
    [
        (0, 0, (3, 6)),
        (0, 6, (6, 6)),
        (0, 6.5, (12, 21)),
        # On a real fleet: the back-off began at 48 s past a minute, the fourth dial was seen 132 s later, and the peers
        # were back between 369 and 396 s after it.
        (0, 60, (120, 141)),
        (0, 300, (363, 390)),
        (0, 100_000, None),
    ],
)
def test_when_a_node_dials_next(began: float, now: float, dial: tuple[float, float] | None) -> None:
    assert next_dial(began, now) == dial


@given(st.floats(0, 2e9), st.floats(0, 100_000))
def test_the_next_dial_lies_ahead(began: float, passed: float) -> None:
    dial = next_dial(began, began + passed)
    if dial is None:
        assert passed > 3**10
    else:
        assert began + passed <= dial[0] <= dial[1]


def test_sentries_are_restarted_first_and_a_validator_alone_and_last() -> None:
    made = planned(checked(recorded()))
    assert [(step["action"], step["hosts"][0]) for step in made["steps"]] == [
        (action, host) for host in HOSTS for action in ("stop_node", "start_node")
    ]
    own = {row["host"]: row["power"] for row in HALT.assess(checked(recorded()))["details"]["validators"]}
    for step in made["steps"]:
        assert abs(step["impact"]["after"] - step["impact"]["before"]) in (0, own.get(step["hosts"][0], 0))
        assert step["parameters"].get("reconnect", False) is (step["action"] == "stop_node")
    assert "it dials next between 2026-" in made["steps"][0]["why"]
    assert not any(step["overrides"] for step in made["steps"]) and made["decision"] is None


ALL = set(HOSTS)
CASES: dict[str, tuple[Change, set[str]]] = {
    "as it was": (unchanged, ALL),
    "given up": (given_up, ALL),
    "closed": (dials("timeout"), set()),
    "not tried": (dials(None), set()),
    "no back-off yet": (without_marks, set()),
    "a dial is due in seconds": (began(80), set()),
    "a back-off that was before the newest block": (began(3600), set()),
    "a back-off in the future": (began(-3600), set()),
    "a back-off without a time": (undated, set()),
    "a clock that is ahead": (ahead("vh2"), ALL - {"vh2"}),
    "open from it, closed towards it": (towards("vh2", "timeout"), ALL - {"vh2"}),
    "nobody is told to keep it": (forget("vh2"), ALL - {"vh2"}),
    "a validator with one peer that it does not name": (one_peer("vh2"), ALL - {"vh2", "vs1"}),
    "a validator with a peer and a count of none": (listed("vh2"), ALL - {"vh2"}),
    "a validator that another shows as its peer": (shown_by("vh3", "vh2"), ALL - {"vh2", "vh3"}),
    "a validator that is connected by its own account": (connected("vh2"), ALL - {"vh2"}),
    "a sentry with one peer": (one_peer("vs1"), ALL),
    "a sentry that a validator hangs on": (hangs_on("vh3", "vs1"), ALL - {"vs1", "vh3"}),
    "no write-ahead log": (with_log("vh2", {"ok": True, "data": {"present": False, "copies": []}}), ALL - {"vh2"}),
    "a write-ahead log that is not seen": (with_log("vh2", {"ok": False, "error": {}}), ALL - {"vh2"}),
    "a write-ahead log without a marker": (with_log("vh2", log(None)), ALL - {"vh2"}),
    "a write-ahead log that ends before its newest block": (with_log("vh2", log(5)), ALL - {"vh2"}),
    "a write-ahead log that was not written to since": (
        with_log("vh2", log(22, "2026-01-01T00:00:00Z")),
        ALL - {"vh2"},
    ),
    "two different votes of one key": (votes_elsewhere("vh2", 0), ALL - {"vh2"}),
    "a vote after it lost its peers": (votes_elsewhere("vh2", 3600, same=True), ALL - {"vh2"}),
    "a validator that is down and comes back first": (down("vh4"), ALL - {"vh4"}),
    "a validator that is down and stays so": (down("vh4", masked=True), {"vs1"}),
}


@pytest.mark.parametrize(("change", "hosts"), CASES.values(), ids=CASES)
def test_who_is_restarted(change: Change, hosts: set[str]) -> None:
    seen = changed(change)
    for reason in (None, "I know better"):
        made = planned(seen, reason)
        assert set(restarted(made)) == hosts
        for entry in made["withheld"]:
            assert not entry["break_glass"] or entry["hosts"][0] in hosts


def test_one_look_at_its_peers_is_not_enough() -> None:
    def seen_before(host: str, data: dict[str, t.Any]) -> None:
        if host == "vh3":
            data["rpc"]["net_info"]["data"]["count"] = 1

    assert set(restarted(planned(changed(seen_before, looks=(1,))))) == ALL - {"vh3"}


def test_a_key_that_is_not_known_is_no_full_nodes() -> None:
    for reason in (None, "I know better"):
        made = planned(changed(anonymous("vh2")), reason)
        assert "vh2" not in restarted(made)
        assert not [entry for entry in made["withheld"] if entry["hosts"] == ["vh2"] and entry["break_glass"]]


def test_what_is_withheld_says_when_the_next_dial_comes() -> None:
    made = planned(changed(towards("vh2", "timeout")))
    (why,) = [entry["why"] for entry in made["withheld"] if entry["hosts"] == ["vh2"]]
    assert "open one way only" in why and "first open port" in why.lower()
    soon = planned(changed(began(80)))
    assert all("dials by itself: it dials next between" in entry["why"] for entry in soon["withheld"])
    assert {entry["hosts"][0] for entry in soon["withheld"]} == ALL


def test_a_running_chain_restarts_nobody() -> None:
    raw = recorded()
    made = planned(checked(raw))
    step = made["steps"][2]
    for entry in raw["observations"]:
        if entry["look"] == 2:
            for part in ("status", "abci_info"):
                entry["data"]["rpc"][part]["data"]["height"] += 5
            entry["data"]["rpc"]["status"]["data"]["block_time"] = entry["data"]["clock"]["now"]
    found = HALT.check_step(checked(raw), made, step)
    assert not found["ok"]


def test_a_validator_waits_for_what_the_sentry_dials_and_is_passed_over_once_it_has_a_peer() -> None:
    made = planned(checked(recorded()))
    stop = made["steps"][4]
    assert (stop["action"], stop["hosts"][0]) == ("stop_node", "vh2")

    def restarted_now(host: str, data: dict[str, t.Any]) -> None:
        if host == "vs1":
            data["unit"]["data"]["started_at"] = data["clock"]["now"]

    waiting = HALT.check_step(changed(restarted_now), made, stop)
    assert not waiting["ok"] and waiting["wait"] and "vs1 was started a moment ago" in waiting["because"]
    passed = HALT.check_step(changed(one_peer("vh2")), made, stop)
    assert not passed["ok"] and not passed["needed"]
    assert HALT.check_step(changed(unchanged), made, stop)["ok"]


def test_a_key_on_another_host_stops_the_restart() -> None:
    def twice(host: str, data: dict[str, t.Any]) -> None:
        if host == "vs1":
            data["signer"] = copy.deepcopy(
                next(entry for entry in recorded()["observations"] if entry["host"] == "vh2")["data"]["signer"]
            )

    assert "vh2" not in restarted(planned(changed(twice), "I know better"))


def test_what_is_stopped_can_be_started_again_on_the_world_after_the_stop() -> None:
    """The stop is asked for what only that node shows: else it would be stopped, and then stay down."""
    raw = recorded()
    made = planned(checked(raw))
    for stop, start in zip(made["steps"][::2], made["steps"][1::2]):
        after = changed(down(stop["hosts"][0]), looks=(2,))
        assert HALT.check_step(after, made, start)["ok"], start["hosts"][0]

    def alone(host: str, data: dict[str, t.Any]) -> None:
        """One has a block that no other has."""
        if host == "vh1":
            for part in ("status", "abci_info"):
                data["rpc"][part]["data"]["height"] += 1
            data["wal"]["data"]["last_end_height"] += 1

    made = planned(changed(alone))
    why = next(entry["why"] for entry in made["withheld"] if entry["hosts"] == ["vh1"])
    assert "vh1" not in restarted(made) and "no other node of ours shows block" in why


def test_a_validator_that_went_down_before_is_left_to_a_person() -> None:
    """No other node receives our votes, so nobody shows whether its key has signed elsewhere since."""
    made = planned(changed(down("vh4", waited=False)))
    assert restarted(made) == ["vs1"] and ("start_node", "vh4") not in [
        (step["action"], step["hosts"][0]) for step in made["steps"]
    ]
    (entry,) = [entry for entry in made["withheld"] if entry["hosts"] == ["vh4"]]
    assert entry["break_glass"] and "not established" in entry["why"]


def test_one_validator_at_a_time() -> None:
    made = planned(checked(recorded()))
    found = HALT.check_step(changed(down("vh2"), looks=(2,)), made, made["steps"][6])
    assert not found["ok"] and "vh2 is down or cannot be seen: no other validator is stopped" in found["because"]


def test_a_run_killed_after_any_step_goes_on() -> None:
    """What is down comes first in the plan of then, so it is the rest of the plan on record."""
    verdict = HALT.assess(checked(recorded()))
    made = finished(checked(recorded()), verdict)
    for stop in made["steps"][::2]:
        seen = changed(down(stop["hosts"][0]))
        now = HALT.assess(seen)
        fresh = finished(seen, now)
        done = [step for step in made["steps"] if step["number"] < stop["number"]]
        assert fresh["steps"][0]["action"] == "start_node" and fresh["steps"][0]["hosts"] == stop["hosts"]
        # On the fleet the hosts before it have their peers by then, and are planned no more.
        rest = [step for step in fresh["steps"] if step["hosts"][0] not in {one["hosts"][0] for one in done}]
        assert plan.is_suffix(made["steps"], rest), stop["hosts"][0]


def test_where_a_split_network_is_open_again_a_full_node_dials_the_other_part() -> None:
    raw = json.loads(RECORDED.with_name("split.json").read_text(encoding="utf-8"))
    looks = [entry for entry in raw["observations"] if entry["source"] == "node_evidence"]
    apart = {look["data"]["rpc"]["status"]["data"]["node_id"] for look in looks if look["host"] in ("vh1", "vh4")}
    for entry in looks:
        data, inside = entry["data"], entry["host"] in ("vh1", "vh4")
        # It gave up after the newest block.
        at = stamp((seconds(data["clock"]["now"]) or 0.0) - 10)
        mark = {
            "kind": "peers_given_up",
            "count": 1,
            "current": True,
            "text": "Giving up",
            "first_at": at,
            "last_at": at,
        }
        data["journal"]["data"]["marks"] = [mark]
        shown = data["rpc"]["net_info"]["data"]
        shown["peers"] = [peer for peer in shown["peers"] if (peer["node_id"] in apart) is inside]
        shown["count"] = len(shown["peers"])
        for peer in data["p2p"]["data"]["expected"]:
            lacks = (peer["node_id"] in apart) is not inside
            peer.update(connected=not lacks, dial="open" if lacks else None)
    made = planned(checked(raw))
    assert restarted(made) == ["vs1"]
    closed = copy.deepcopy(raw)
    for entry in closed["observations"]:
        for peer in entry["data"].get("p2p", {}).get("data", {}).get("expected", []):
            peer["dial"] = "timeout" if peer["dial"] is not None else None
    assert planned(checked(closed))["steps"] == []
