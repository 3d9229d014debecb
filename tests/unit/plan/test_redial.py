# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that is open again while the nodes wait: when they dial, and which of them is restarted for it."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils import _bundle, _registry
from ansible_collections.virtengine.incident.plugins.plugin_utils import _halt_redial as redial
from hypothesis import given
from hypothesis import strategies as st

HALT = _registry.incident("chain_halt")
RECORDED = Path(__file__).resolve().parents[2] / "data/recorded/backoff.json"
HOSTS = ("vs1", "vh1", "vh2", "vh3", "vh4")
Change = t.Callable[[str, dict[str, t.Any]], None]


def recorded() -> dict[str, t.Any]:
    made: dict[str, t.Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return made


def changed(change: Change, looks: tuple[int, ...] = (1, 2)) -> dict[str, t.Any]:
    """The recorded bundle with the evidence of each host changed."""
    raw = recorded()
    for entry in raw["observations"]:
        if entry["source"] == "node_evidence" and entry["look"] in looks:
            change(entry["host"], entry["data"])
    checked: dict[str, t.Any] = _bundle.check(raw)
    return checked


def planned(seen: dict[str, t.Any], reason: str | None = None) -> dict[str, t.Any]:
    return HALT.plan(seen, HALT.assess(seen), reason)


def restarted(made: dict[str, t.Any]) -> list[str]:
    return [step["host"] for step in made["steps"] if step["action"] == "stop_node"]


def unchanged(_host: str, _data: dict[str, t.Any]) -> None:
    return None


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
    assert redial.next_dial(began, now) == dial


@given(st.floats(0, 2e9), st.floats(0, 100_000))
def test_the_next_dial_lies_ahead(began: float, passed: float) -> None:
    dial = redial.next_dial(began, began + passed)
    if dial is None:
        assert passed > 3**10
    else:
        assert began + passed <= dial[0] <= dial[1]


def test_sentries_are_restarted_first_and_a_validator_alone_and_last() -> None:
    made = planned(_bundle.check(recorded()))
    assert [(step["action"], step["host"]) for step in made["steps"]] == [
        (action, host) for host in HOSTS for action in ("stop_node", "start_node")
    ]
    power = [(step["power_online_before"], step["power_online_after"]) for step in made["steps"]]
    assert all(
        after - before in (-step["power"], 0, step["power"]) for (before, after), step in zip(power, made["steps"])
    )
    assert "it dials next between 2026-" in made["steps"][0]["why"]
    assert not any(step["break_glass"] for step in made["steps"]) and made["decision"] is None


def dials(word: str | None) -> Change:
    def change(_host: str, data: dict[str, t.Any]) -> None:
        for peer in data["p2p"]["data"]["expected"]:
            peer["dial"] = word

    return change


def towards(node: str, word: str | None) -> Change:
    """What the others' plain connections to one host came to."""
    ids = {entry["host"]: entry["data"]["rpc"]["status"]["data"]["node_id"] for entry in recorded()["observations"][:5]}

    def change(host: str, data: dict[str, t.Any]) -> None:
        for peer in data["p2p"]["data"]["expected"]:
            if peer["node_id"] == ids[node] and host != node:
                peer["dial"] = word

    return change


def forget(node: str) -> Change:
    """Nobody of ours is told to keep one host."""
    ids = {entry["host"]: entry["data"]["rpc"]["status"]["data"]["node_id"] for entry in recorded()["observations"][:5]}

    def change(_host: str, data: dict[str, t.Any]) -> None:
        expected = data["p2p"]["data"]["expected"]
        data["p2p"]["data"]["expected"] = [peer for peer in expected if peer["node_id"] != ids[node]]

    return change


def without_marks(_host: str, data: dict[str, t.Any]) -> None:
    data["journal"]["data"]["marks"] = []


def began(seconds_ago: float) -> Change:
    def change(_host: str, data: dict[str, t.Any]) -> None:
        now = _bundle.seconds(data["clock"]["now"]) or 0.0
        for mark in data["journal"]["data"]["marks"]:
            mark["last_at"] = _bundle.stamp(now - seconds_ago)

    return change


def given_up(_host: str, data: dict[str, t.Any]) -> None:
    for mark in data["journal"]["data"]["marks"]:
        mark["kind"] = "peers_given_up"


def one_peer(host: str) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["rpc"]["net_info"]["data"]["count"] = 1

    return change


def without_log(host: str, part: dict[str, t.Any]) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["wal"] = part

    return change


ALL = set(HOSTS)
CASES: dict[str, tuple[Change, set[str]]] = {
    "as it was": (unchanged, ALL),
    "given up": (given_up, ALL),
    "closed": (dials("timeout"), set()),
    "not tried": (dials(None), set()),
    "no back-off yet": (without_marks, set()),
    "a dial is due in seconds": (began(80), set()),
    "open from it, closed towards it": (towards("vh1", "timeout"), ALL - {"vh1"}),
    "nobody is told to keep it": (forget("vh2"), ALL - {"vh2"}),
    "a validator with one peer": (one_peer("vh1"), ALL - {"vh1"}),
    "a sentry with one peer": (one_peer("vs1"), ALL),
    "no write-ahead log": (without_log("vh1", {"ok": True, "data": {"present": False, "copies": []}}), ALL - {"vh1"}),
    "a write-ahead log that is not seen": (without_log("vh1", {"ok": False, "error": {}}), ALL - {"vh1"}),
}


@pytest.mark.parametrize(("change", "hosts"), CASES.values(), ids=CASES)
def test_who_is_restarted(change: Change, hosts: set[str]) -> None:
    seen = changed(change)
    for reason in (None, "I know better"):
        made = planned(seen, reason)
        assert set(restarted(made)) == hosts
        for entry in made["withheld"]:
            assert not entry["break_glass"] or entry["host"] in hosts


def test_one_look_at_its_peers_is_not_enough() -> None:
    def seen_before(host: str, data: dict[str, t.Any]) -> None:
        if host == "vh3":
            data["rpc"]["net_info"]["data"]["count"] = 1

    assert set(restarted(planned(changed(seen_before, looks=(1,))))) == ALL - {"vh3"}


def test_what_is_withheld_says_when_the_next_dial_comes() -> None:
    made = planned(changed(towards("vh1", "timeout")))
    (why,) = [entry["why"] for entry in made["withheld"] if entry["host"] == "vh1"]
    assert "open one way only" in why and "first open port" in why.lower()
    soon = planned(changed(began(80)))
    assert all("dials by itself soon: it dials next between" in entry["why"] for entry in soon["withheld"])
    assert {entry["host"] for entry in soon["withheld"]} == ALL


def test_a_running_chain_restarts_nobody() -> None:
    raw = recorded()
    made = planned(_bundle.check(raw))
    step = made["steps"][2]
    for entry in raw["observations"]:
        if entry["look"] == 2:
            for part in ("status", "abci_info"):
                entry["data"]["rpc"][part]["data"]["height"] += 5
            entry["data"]["rpc"]["status"]["data"]["block_time"] = entry["data"]["clock"]["now"]
    found = HALT.check_step(_bundle.check(raw), made, step)
    assert not found["ok"]


def test_a_validator_waits_for_what_the_sentry_dials_and_is_passed_over_once_it_has_a_peer() -> None:
    made = planned(_bundle.check(recorded()))
    stop = made["steps"][2]
    assert (stop["action"], stop["host"]) == ("stop_node", "vh1")

    def restarted_now(host: str, data: dict[str, t.Any]) -> None:
        if host == "vs1":
            data["unit"]["data"]["started_at"] = data["clock"]["now"]

    waiting = HALT.check_step(changed(restarted_now), made, stop)
    assert not waiting["ok"] and waiting["wait"] and "vs1 was started a moment ago" in waiting["because"]
    passed = HALT.check_step(changed(one_peer("vh1")), made, stop)
    assert not passed["ok"] and not passed["needed"]
    assert HALT.check_step(changed(unchanged), made, stop)["ok"]


def test_a_key_on_another_host_stops_the_restart() -> None:
    def twice(host: str, data: dict[str, t.Any]) -> None:
        if host == "vs1":
            data["signer"] = copy.deepcopy(
                next(entry for entry in recorded()["observations"] if entry["host"] == "vh1")["data"]["signer"]
            )

    assert "vh1" not in restarted(planned(changed(twice), "I know better"))
