# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in the rounds: proposals that come late, are refused or do not come, and a chain that is only slow."""

from __future__ import annotations

import typing as t

import pytest

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
from tests.unit.plugin_utils._incidents.chain_halt.causes.fleets import (
    EVERY,
    Patch,
    app,
    change,
    lost,
    nil,
    part,
    says,
    setting,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Other, address, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import Data

ALL = EVERY + " vh5"
COME = part("rpc.consensus", proposal=True, block_parts=[3, 3])
HALF = part("rpc.consensus", proposal=True, block_parts=[1, 40])
NOT_TOLD = part("rpc.consensus", proposal=None)
OTHERS_TURN = part("rpc.consensus", proposer=address("vh4"))


def rising(*patches: Patch, **changes: t.Any) -> Fleet:
    """Rounds end with votes for nil; vh1 proposes."""
    fleet = four(**{"round": 3, "grow": 2, "halted_s": 400, **changes})
    return change(fleet, ALL, nil, *patches)


def rounds(*numbers: int) -> Patch:
    """The newest commits needed these rounds."""

    def patch(data: Data, look: int) -> None:
        shown = data["rpc"]["commits"]
        for commit, number in zip(shown["data"]["commits"] if shown["ok"] else [], numbers):
            commit["round"] = number

    return patch


def rejecting(names: str, seconds: float = 5, **changes: t.Any) -> Fleet:
    return change(rising(**changes), names, marks=says("rejected", seconds=seconds))


ROWS: Table = {
    "proposals_late": [
        ("none came", rising, Holds(ROOT, 0, "", "power 100 prevoted nil in one: vh2 has no proposal of round 5")),
        ("parts are missing", lambda: rising(HALF), Holds(ROOT, 0, "", "vh2 has 1 of 40 parts of round 5")),
        ("who proposes has it", lambda: change(rising(), "vh1", COME), Holds(ROOT, 0, "", "vh2 has no proposal")),
        ("it came too late", lambda: rising(COME), Holds(ROOT, 0, "vh1 vh2 vh3 vh4", "it came too late")),
        (
            "it came, and they object",
            lambda: change(rising(COME), EVERY, marks=says("rejected")),
            Refuted("without a stated reason"),
        ),
        (
            "it came, and a journal is missing",
            lambda: change(rising(COME), EVERY, lost("journal")),
            Open("why vh1 (40), vh2 (30)"),
        ),
        ("it came to some", lambda: change(rising(), "vh3", COME), Open("some nodes have it, and some do not")),
        ("nobody tells", lambda: rising(NOT_TOLD), Open("whether the proposal of a round has arrived")),
        ("prevotes for a block", lambda: four(round=3, grow=2, halted_s=400), Open("more than a third prevotes nil")),
        ("the hashes differ", lambda: change(rising(), "vh1", app("BB")), Open("more than a third prevotes nil")),
        ("round 0 for ever", lambda: four(["stopped"]), Refuted("it is votes that are missing")),
        (
            "a late round with votes missing",
            lambda: four(["stopped"], round=7),
            Refuted("it is votes that are missing"),
        ),
        ("a late round, and enough vote", lambda: four(round=30), Open("whether rounds end")),
        ("blocks come", lambda: four(moving=True), Refuted("proposals arrive")),
        ("no view", lambda: change(rising(), ALL, lost("rpc.consensus")), Open("whether rounds end")),
    ],
    "proposals_refused": [
        (
            "by more than a third",
            lambda: rejecting("vh1"),
            Holds(ROOT, 40, "vh1", "since the last block, the application of vh1 (40) rejected proposals"),
        ),
        ("by all", lambda: rejecting(EVERY), Holds(ROOT, 100, "vh1 vh2 vh3 vh4", "vh1 (40), vh2 (30)")),
        ("by too few", lambda: rejecting("vh3"), Holds(SYMPTOM, 20, "vh3", "vh3 (20) rejected proposals")),
        (
            "with what is down it is a third",
            lambda: change(rejecting("vh3"), "vh2", doing="stopped"),
            Holds(ROOT, 20, "vh3", ""),
        ),
        (
            "before the newest block",
            lambda: rejecting("vh1", seconds=-60),
            Open("vh1 (40) rejected proposals in this run"),
        ),
        ("blocks come all the same", lambda: change(four(moving=True), "vh1", marks=says("rejected")), Open("goes on")),
        ("of an earlier run", lambda: change(rising(), "vh1", marks=says("rejected", current=False)), Refuted()),
        ("nobody says so", rising, Refuted("no journal of our validators says")),
        ("blocks come", lambda: four(moving=True), Refuted("proposals are accepted")),
        (
            "a journal is missing",
            lambda: change(rising(), "vh2", lost("journal")),
            Open("journals of all our validators"),
        ),
    ],
    "proposer_silent": [
        (
            "rounds are lost while one is missing",
            lambda: change(four(["voting"] * 3 + ["stopped"], moving=True), ALL, rounds(0, 1, 1)),
            Holds(SYMPTOM, 0, "vh4", "of the newest 3 blocks 2 needed another round: 212 (round 1), 211 (round 1)"),
        ),
        (
            "of somebody else",
            lambda: change(four(moving=True, others=[Other("other", 9, vote=False, signs=False)]), ALL, rounds(2)),
            Holds(SYMPTOM, 0, "", "(9)"),
        ),
        ("nobody is missing", lambda: change(four(moving=True), ALL, rounds(1)), Refuted("no validator is missing")),
        ("one round each", lambda: four(["voting"] * 3 + ["stopped"], moving=True), Refuted("needed one round")),
        ("a halt", lambda: four(["stopped"]), Refuted("the chain stands")),
        ("young", lambda: four(halted_s=5), Open("whether blocks come")),
        (
            "no commits",
            lambda: change(four(moving=True), ALL, lost("rpc.commits")),
            Open("the rounds of the newest commits"),
        ),
    ],
    "slow_chain": [
        (
            "long blocks",
            lambda: four(moving=True, interval_s=9.0),
            Holds(SYMPTOM, 0, "", "9.0 s, about 2.0 s are configured"),
        ),
        (
            "many rounds",
            lambda: change(four(moving=True), ALL, rounds(1, 1, 0)),
            Holds(SYMPTOM, 0, "", "2 of the newest 3"),
        ),
        ("as configured", lambda: four(moving=True), Refuted("a block takes 1.2 s, about 2.0 s are configured")),
        (
            "long by configuration",
            lambda: change(four(moving=True, interval_s=9.0), ALL, setting(timeout_commit="8s")),
            Refuted("about 9.0 s are configured"),
        ),
        (
            "settings differ",
            lambda: change(four(moving=True, interval_s=9.0), "vh1", setting(timeout_commit="8s")),
            Open("different intervals or settings"),
        ),
        ("no interval", lambda: four(moving=True, interval_s=None), Open("the block interval")),
        ("a halt", lambda: four(["stopped"]), Refuted("the chain stands")),
        ("young", lambda: four(halted_s=5), Open("whether blocks come")),
    ],
}


@pytest.mark.parametrize(("cause", "make", "answer"), table(ROWS))
def test_told(cause: str, make: Make, answer: Answer) -> None:
    check(cause, make(), answer)


def test_who_proposes_is_left_out_only_in_its_own_round() -> None:
    fleet = change(rising(OTHERS_TURN), "vh1", COME)
    check("proposals_late", fleet, Open("some nodes have it, and some do not"))
