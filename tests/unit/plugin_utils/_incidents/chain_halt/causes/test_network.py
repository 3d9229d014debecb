# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes between the hosts: a network in parts, nodes without peers, clocks."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import values

from tests.unit.plugin_utils._incidents.chain_halt.causes.asking import (
    ROOT,
    SYMPTOM,
    Answer,
    Holds,
    Make,
    Open,
    Refuted,
    Table,
    check,
    table,
)
from tests.unit.plugin_utils._incidents.chain_halt.causes.fleets import EVERY, Patch, change, lost, part, says, sees
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Host, Other, address, at, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import Data

NO_PEERS = part("rpc.net_info", count=0, peers=[])


def parts(*groups: str, **changes: t.Any) -> Fleet:
    """Each word list is a part whose hosts hold the votes of their part alone."""
    fleet = four(**changes)
    for group in groups:
        names = group.split()
        change(fleet, group, sees(*(name for name in names if name != "vh5")))
    return fleet


def precommits(*names: str) -> Patch:
    """Precommits of these, beside prevotes of all."""

    def patch(data: Data, look: int) -> None:
        shown = data["rpc"]["consensus"]["data"]
        order = [row["address"] for row in shown["validators"]]
        kept = {order.index(address(name)) for name in names}
        for entry in shown["rounds"]:
            entry["precommits"] = [vote for vote in entry["prevotes"] if vote[0] in kept]

    return patch


def dials(result: str) -> Patch:
    peer = {"node_id": "ab" * 20, "address": "192.0.2.3:26656", "connected": False, "dial": result}
    return part("p2p", expected=[peer])


def clock(seconds: float) -> Patch:
    def patch(data: Data, look: int) -> None:
        data["clock"]["now"] = values.stamp((values.seconds(data["clock"]["now"]) or 0.0) + seconds)

    return patch


def forty_two() -> Fleet:
    fleet = Fleet([Host("a", 42), Host("b", 30), Host("c", 28), Host("full")])
    change(fleet, "a full", sees("a"))
    return change(fleet, "b c", sees("b", "c"))


ROWS: Table = {
    "network_split": [
        (
            "42 and 58",
            forty_two,
            Holds(ROOT, 42, "a b c full", "seen at b, c: votes of 58; seen at a, full: votes of 42"),
        ),
        (
            "three parts",
            lambda: parts("vh1 vh5", "vh2", "vh3 vh4"),
            Holds(ROOT, 60, "vh1 vh2 vh3 vh4 vh5", "together 100, 67 of 100 are needed"),
        ),
        (
            "and a dial shows it",
            lambda: change(parts("vh1 vh5", "vh2 vh3 vh4"), "vh1", dials("timeout")),
            Holds(ROOT, 40, "vh1 vh2 vh3 vh4 vh5", "Connections tried: vh1 to 192.0.2.3:26656: timeout"),
        ),
        (
            "and a stopped validator: together they would have a quorum",
            lambda: change(parts("vh1 vh5", "vh2 vh3"), "vh4", doing="stopped"),
            Holds(ROOT, 40, "vh1 vh2 vh3 vh5", "together 90"),
        ),
        (
            "and so much stopped that together they have none",
            lambda: change(parts("vh2 vh5", "vh3 vh4"), "vh1", doing="stopped"),
            Holds(SYMPTOM, 30, "vh2 vh3 vh4 vh5", "together 60, 67 of 100 are needed"),
        ),
        (
            "one host lacks late votes",
            lambda: change(four(["stopped"]), "vh2", sees("vh2", "vh3")),
            Refuted("hold the same ones"),
        ),
        (
            "one host has not begun",
            lambda: change(four(["stopped"]), "vh2", sees()),
            Refuted("hold the same ones"),
        ),
        ("one part has a quorum", lambda: parts("vh1 vh2", "vh3 vh4 vh5"), Open()),
        (
            "votes of before the cut are everywhere, newer ones are not",
            lambda: change(change(four(), "vh1 vh5", precommits("vh1")), EVERY[4:], precommits("vh2", "vh3", "vh4")),
            Open("share no new vote"),
        ),
        (
            "a host that sees both parts",
            lambda: change(parts("vh1", "vh2 vh3 vh4"), "vh5", sees("vh1", "vh2")),
            Open("share no new vote"),
        ),
        ("blocks come", lambda: parts("vh1 vh5", "vh2 vh3 vh4", moving=True), Refuted("new blocks come")),
        (
            "one view",
            lambda: four(["stopped"] * 3 + ["voting", "stopped"]),
            Open("the votes that two hosts of ours hold"),
        ),
        ("no views", lambda: change(four(), EVERY + " vh5", lost("rpc.consensus")), Open()),
        (
            "others on the other side, whom nobody of ours sees",
            lambda: four(others=[Other("other", 60, vote=False)]),
            Refuted("the hosts of ours"),
        ),
    ],
    "few_peers": [
        ("none", lambda: change(four(["mute"]), "vh1", NO_PEERS), Holds(ROOT, 40, "vh1", "names no persistent peer")),
        (
            "backs off",
            lambda: change(four(["mute"]), "vh1", NO_PEERS, dials("refused"), marks=says("backoff")),
            Holds(ROOT, 40, "vh1", ", it dials next between"),
        ),
        (
            "gave up",
            lambda: change(four(["mute"]), "vh1", NO_PEERS, dials("open"), marks=says("backoff", "given_up")),
            Holds(ROOT, 40, "vh1", "it has given up dialling; tried from its host: open"),
        ),
        (
            "a full node",
            lambda: change(four(["stopped"]), "vh5", NO_PEERS),
            Holds(SYMPTOM, 0, "vh5", "no voting power"),
        ),
        ("has peers", lambda: four(["mute"]), Refuted()),
        ("is down", lambda: change(four(["stopped"]), "vh1", NO_PEERS), Refuted()),
        ("not seen", lambda: change(four(["mute"]), "vh1", lost("rpc.net_info")), Open("its peers cannot be seen")),
        (
            "and it votes",
            lambda: change(four(["stopped"]), "vh2", NO_PEERS),
            Holds(ROOT, 30, "vh2", "30 of 100 can be"),
        ),
    ],
    "clock_skew": [
        ("ahead", lambda: change(four(["stopped"]), "vh2", clock(60)), Holds(SYMPTOM, 0, "vh2", "vh2 60 s ahead")),
        (
            "behind",
            lambda: change(four(["stopped"]), "vh2", clock(-3600)),
            Holds(SYMPTOM, 0, "vh2", "vh2 3600 s behind"),
        ),
        ("a slow answer", lambda: change(four(["stopped"]), "vh2", clock(-20)), Refuted("agree with the controller's")),
        ("right", four, Refuted()),
        ("all behind", lambda: change(four(), EVERY + " vh5", clock(-3600)), Open("or the controller's")),
        ("all ahead", lambda: change(four(), EVERY + " vh5", clock(60)), Open("or the controller's")),
        ("nobody answers", lambda: four(["unreachable"] * 5), Open("the clock of any host of ours")),
    ],
}


@pytest.mark.parametrize(("cause", "make", "answer"), table(ROWS))
def test_told(cause: str, make: Make, answer: Answer) -> None:
    check(cause, make(), answer)


def test_a_split_is_not_told_while_the_halt_is_not() -> None:
    check("network_split", parts("vh1 vh5", "vh2 vh3 vh4", halted_s=10), Open())


def test_votes_of_the_next_height_are_not_compared_with_those_of_this_one() -> None:
    fleet = change(parts("vh1 vh5", "vh2 vh3 vh4"), "vh1 vh5", part("rpc.consensus", height=208, start_time=at(-3)))
    check("network_split", fleet, Refuted("hold the same ones"))
