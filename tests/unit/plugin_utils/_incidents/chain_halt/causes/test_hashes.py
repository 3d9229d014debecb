# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application hashes: who diverged, told by headers, by a quorum, or by nobody."""

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
    check,
)
from tests.unit.plugin_utils._incidents.chain_halt.causes.fleets import (
    EVERY,
    Patch,
    all_of,
    app,
    blocked,
    change,
    journal,
    lost,
    part,
    says,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import held
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Other, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import Data

CAUSE = "app_hash_divergence"
RIGHT = f"{208:064X}"
ALL = "vh1 vh2 vh3 vh4 vh5"


def headers(digest: str | None = None, height: int = 209) -> Patch:
    """A header of the block after the newest, with that application hash of the state before it."""

    def patch(data: Data, look: int) -> None:
        blocks = data["rpc"]["blocks"]
        if blocks["ok"]:
            blocks["data"]["headers"] = [[height, digest or RIGHT], *blocks["data"]["headers"]]

    return patch


def split(*names: str, digest: str = "BB", **changes: t.Any) -> Fleet:
    """These hosts have another hash; rounds rise, for all of them vote and find no agreement."""
    return change(four(round=3, grow=2, halted_s=400, **changes), " ".join(names), app(digest))


ROWS: list[tuple[str, Make, Answer]] = [
    (
        "a minority, told by the header of the next block",
        lambda: change(split("vh3"), "vh1 vh2", headers()),
        Holds(SYMPTOM, 20, "vh3", "Block 209 was committed with 000000000000: vh3 diverged"),
    ),
    (
        "a majority of ours, told by the header: the few are right",
        lambda: change(split("vh1", "vh2", "vh3", others=[Other("other", 200)]), "vh4 vh5", headers()),
        Holds(SYMPTOM, 90, "vh1 vh2 vh3", "vh1, vh2, vh3 diverged"),
    ),
    (
        "the header tells it of one node alone",
        lambda: change(four(["stopped"] * 3 + ["mute", "stopped"]), "vh4", app("BB"), headers()),
        Holds(ROOT, 10, "vh4", "Block 209 was committed with"),
    ),
    (
        "half and half, no quorum",
        lambda: split("vh1"),
        Holds(ROOT, 40, ALL, "No side has 67 of 100: counting does not say who is right"),
    ),
    (
        "three sides",
        lambda: change(split("vh1"), "vh2", app("CC")),
        Holds(ROOT, 60, ALL, "No side has 67 of 100"),
    ),
    (
        "others are not seen",
        lambda: split("vh1", others=[Other("other", 50)]),
        Holds(ROOT, 40, ALL, "No side has 101 of 150 (power 50 is not seen)"),
    ),
    (
        "a quorum on one side among ours",
        lambda: split("vh4"),
        Holds(SYMPTOM, 10, "vh4", "The first has a quorum (67): the others diverged"),
    ),
    (
        "a quorum, and the minority is what the chain lacks",
        lambda: change(four(["mute"] + ["voting"] * 3, others=[Other("other", 20, vote=False)]), "vh4", app("BB")),
        Holds(ROOT, 10, "vh4", "The first has a quorum (81)"),
    ),
    (
        "only a full node is on the other side, and votes are missing",
        lambda: change(four(["stopped"]), "vh5", app("BB")),
        Holds(SYMPTOM, 0, "vh2 vh3 vh4 vh5", "No side has 67 of 100 (power 40 is not seen)"),
    ),
    (
        "the full node is wrong by a quorum",
        lambda: change(four(["mute"]), "vh5", app("BB")),
        Holds(SYMPTOM, 0, "vh5", "The first has a quorum"),
    ),
    (
        "its own journal, on a chain that moves",
        lambda: change(four(["voting", "voting", "mute"], moving=True), "vh3", marks=journal("diverged-vh3")),
        Holds(ROOT, 20, "vh3", "20 of 100 power is lost, and blocks still come"),
    ),
    (
        "its own journal, and it is the third that is missing",
        lambda: blocked("mute", "app_hash"),
        Holds(ROOT, 40, "vh1", "+2/3 prevoted for an invalid block"),
    ),
    (
        "a node that is behind rightly has another hash",
        lambda: change(four(["stopped"]), "vh2", part("rpc.abci_info", height=207, app_hash=f"{207:064X}")),
        Refuted("the same application hash"),
    ),
    (
        "a node that is behind is wrong by the header of the block that it did not execute",
        lambda: change(four(), "vh1", app("BB", 207)),
        Holds(SYMPTOM, 40, "vh1", "after block 207"),
    ),
    (
        "a height that no header tells of",
        lambda: change(four(["stopped"]), "vh2", app("BB", 100)),
        Refuted("the same application hash"),
    ),
    (
        "the same on all",
        lambda: four(["stopped"]),
        Refuted("the nodes that can be compared have the same application hash"),
    ),
    (
        "healthy nodes log the hash of a diverged peer's proposal",
        lambda: change(four(["stopped"]), "vh2 vh3 vh4", marks=journal("apphash-vh1")),
        Refuted(),
    ),
    (
        "headers contradict each other",
        lambda: change(change(four(["stopped"]), "vh2", headers()), "vh3", headers("EE" * 32)),
        Open("headers of one height contradict each other"),
    ),
    (
        "one that is set aside for its genesis",
        lambda: change(four(["stopped"]), "vh2", part("genesis", sha256="77" * 32), app("BB")),
        Open("what vh2 computed"),
    ),
    ("one node alone", lambda: four(["stopped"] * 4), Open("application hashes of two nodes at one height")),
    ("nobody answers", lambda: four(["unreachable"] * 4 + ["stopped"]), Open()),
    (
        "no hash is shown",
        lambda: change(four(["stopped"]), "vh2 vh3 vh4 vh5", lost("rpc.abci_info")),
        Open("application hashes of two nodes at one height"),
    ),
    (
        "one journal cannot be read",
        lambda: blocked("stopped", patches=[lost("journal")]),
        Open("the application hash of vh1 (40)"),
    ),
]


@pytest.mark.parametrize(("make", "answer"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_told(make: Make, answer: Answer) -> None:
    check(CAUSE, make(), answer)


def test_an_even_split_logs_no_consensus_failure_and_is_divergence_all_the_same() -> None:
    fleet = split("vh1", "vh4")
    change(fleet, EVERY, marks=says("app_hash_prevote"))
    verdict = check(CAUSE, fleet, Holds(ROOT, 50, ALL, "vh1, vh4 (power 50) have BBBBBBBBBBBB"))
    assert {cause for cause, role in held(verdict).items() if role == "root"} == {CAUSE}
    cause = verdict["causes"][0]
    assert cause["justifies"] == [] and {"start_node", "thaw_node"} <= set(cause["forbids"])


def test_status_hides_the_divergence() -> None:
    """/status shows the header's hash, which all have; only /abci_info has the node's own."""
    fleet = split("vh1", "vh4")
    shown = {
        entry["data"]["rpc"]["status"]["data"]["app_hash"] for entry in fleet.bundle()["observations"] if entry["ok"]
    }
    assert len(shown) == 1
    change(fleet, "vh1 vh2 vh3 vh4 vh5", all_of(lost("rpc.abci_info"), part("rpc.status", app_hash=RIGHT)))
    check(CAUSE, fleet, Open())
