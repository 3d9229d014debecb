# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes inside the node: consensus that ended, panics, blocks that are not executed, an application that hangs."""

from __future__ import annotations

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
    blocked,
    change,
    journal,
    lost,
    part,
    says,
    stored,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import held
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import four

CATCHES_UP = part("rpc.status", catching_up=True)
HANGS = lost("rpc.abci_info", "rpc.consensus", kind="late")

ROWS: Table = {
    "diverged_and_restarted": [
        (
            "looks as if it caught up",
            lambda: change(four(["mute"]), "vh1", CATCHES_UP, marks=says("sync_app_hash")),
            Holds(ROOT, 40, "vh1", "refuses every block it is sent"),
        ),
        (
            "a real journal",
            lambda: change(
                four(["voting", "voting", "mute"], moving=True),
                "vh3",
                CATCHES_UP,
                marks=journal("diverged-restart-vh3"),
            ),
            Holds(ROOT, 20, "vh3", "Error in validation"),
        ),
        ("it catches up", lambda: blocked("mute", patches=[CATCHES_UP]), Refuted()),
        ("it has caught up", lambda: blocked("mute", "sync_app_hash"), Refuted()),
        (
            "nobody sees",
            lambda: blocked("mute", "sync_app_hash", patches=[lost("rpc.status")]),
            Open("whether it catches up"),
        ),
    ],
    "application_panics": [
        (
            "lives",
            lambda: blocked("mute", "panic", patches=[stored]),
            Holds(ROOT, 40, "vh1", "block 208 is stored and not executed"),
        ),
        ("loops", lambda: blocked("crash_loop", "panic_loop"), Holds(ROOT, 40, "vh1", "panic: rig fault")),
        (
            "the same on all",
            lambda: change(four(["mute"] * 4), EVERY, stored, marks=says("panic")),
            Holds(ROOT, 100, "vh1 vh2 vh3 vh4", "rig fault: panic in FinalizeBlock"),
        ),
        ("a failure that stored nothing", lambda: blocked("mute", "panic"), Refuted()),
        (
            "a panic of the store",
            lambda: change(four(["crash_loop"]), "vh1", marks=journal("panic-state-db")),
            Refuted(),
        ),
        ("no journal", lambda: blocked("crash_loop", patches=[lost("journal")]), Open()),
    ],
    "consensus_failure": [
        (
            "bare",
            lambda: four(["dead_consensus"]),
            Holds(ROOT, 40, "vh1", "its consensus ended with CONSENSUS FAILURE"),
        ),
        (
            "the reason is known",
            lambda: blocked("mute", "disk_full"),
            Holds(SYMPTOM, 40, "vh1", "the reason is known"),
        ),
        (
            "a panic",
            lambda: blocked("mute", "panic", patches=[stored]),
            Holds(SYMPTOM, 40, "vh1", "the reason is known"),
        ),
        (
            "a full node",
            lambda: four(["voting"] * 4 + ["dead_consensus"]),
            Holds(SYMPTOM, 0, "vh5", "no voting power is lost by that"),
        ),
        ("of an earlier run", lambda: change(four(["stopped"]), "vh1", marks=says("panic", current=False)), Refuted()),
        ("stopped since", lambda: blocked("stopped", "panic"), Refuted()),
        ("the RPC is silent", lambda: blocked("busy", "panic"), Open("whether vh1 still runs")),
        ("no journal", lambda: blocked("mute", patches=[lost("journal")]), Open("the journal of vh1 (40)")),
    ],
    "block_not_executed": [
        (
            "on more than a third, for no stated reason",
            lambda: change(four(["mute"]), "vh1", stored),
            Holds(ROOT, 40, "vh1", "block 208 is stored and not executed at vh1, power 40 of 100"),
        ),
        (
            "the reason is known",
            lambda: blocked("mute", "halt_height", patches=[stored]),
            Holds(SYMPTOM, 40, "vh1", "known"),
        ),
        (
            "on too few to stop the chain",
            lambda: change(four(["voting"] * 3 + ["mute"]), "vh4", stored),
            Holds(SYMPTOM, 10, "vh4", "power 10 of 100"),
        ),
        (
            "step 8 alone: it executed the block",
            lambda: change(four(["mute"]), "vh1", part("rpc.consensus", height=208, step=8)),
            Refuted("have executed the newest block"),
        ),
        (
            "not in step 8: it is about to",
            lambda: change(four(["mute"]), "vh1", part("rpc.abci_info", height=207)),
            Refuted(),
        ),
        ("blocks come", lambda: change(four(moving=True), "vh1", stored), Refuted("new blocks come")),
        ("no RPC", lambda: four(["busy"] * 4 + ["stopped"]), Open()),
    ],
    "application_stuck": [
        (
            "hangs",
            lambda: change(four(["mute"]), "vh1", HANGS),
            Holds(ROOT, 40, "vh1", "neither the application nor consensus"),
        ),
        (
            "transactions wait",
            lambda: change(four(["mute"]), "vh1", HANGS, part("rpc.mempool", txs=12)),
            Holds(ROOT, 40, "vh1", "12 transactions wait"),
        ),
        (
            "in the block that is decided",
            lambda: change(four(["mute"] * 4), EVERY + " vh5", stored, lost("rpc.abci_info", kind="late")),
            Holds(ROOT, 100, "vh1 vh2 vh3 vh4", "the application does not answer"),
        ),
        ("it answers", lambda: four(["mute"]), Refuted()),
        ("it is down", lambda: four(["stopped"]), Refuted()),
        ("a part was lost", lambda: change(four(["mute"]), "vh1", lost("rpc.abci_info")), Refuted()),
        ("its RPC is silent", lambda: four(["busy"]), Open("what its application does cannot be seen")),
        ("late, and it votes", lambda: change(four(["stopped"]), "vh2", HANGS), Open("vh2, voting")),
    ],
    "node_dead_for_reason": [
        ("handshake", lambda: blocked("failed", "handshake"), Holds(ROOT, 40, "vh1", "handshake failed: ")),
        ("open files", lambda: blocked("mute", "files"), Holds(ROOT, 40, "vh1", "too many open files")),
        (
            "conflicting",
            lambda: blocked("mute", "conflicting"),
            Holds(ROOT, 40, "vh1", "did you unsafe_reset a validator?"),
        ),
        (
            "a real journal",
            lambda: change(four(["crash_loop"]), "vh1", marks=journal("panic-state-db")),
            Holds(ROOT, 40, "vh1", "StoreBlockHeight (287)"),
        ),
        ("a reason with a cause of its own", lambda: blocked("mute", "disk_full"), Refuted()),
        (
            "what healthy nodes write as well",
            lambda: change(four(["stopped"]), "vh2", marks=says("app_hash_prevote")),
            Refuted(),
        ),
        ("evidence of somebody else", lambda: change(four(["stopped"]), "vh2", marks=says("double_sign")), Refuted()),
        ("it votes", lambda: change(four(["stopped"]), "vh2", marks=says("conflicting")), Open("vh2, voting")),
        ("no journal", lambda: blocked("failed", patches=[lost("journal")]), Open()),
    ],
}


@pytest.mark.parametrize(("cause", "make", "answer"), table(ROWS))
def test_told(cause: str, make: Make, answer: Answer) -> None:
    check(cause, make(), answer)


def test_step_8_with_an_invalid_block_is_divergence_and_no_refused_block() -> None:
    """It stands in step 8 with the block that the others committed, and has executed what it stored."""
    step = part("rpc.consensus", step=8)
    fleet = change(four(["voting", "voting", "mute"]), "vh3", step, marks=says("app_hash_committed"))
    verdict = check("app_hash_divergence", fleet, Holds(SYMPTOM, 20, "vh3", "wrong Block.Header.AppHash"))
    assert "block_not_executed" not in held(verdict)
    assert "application_panics" not in held(verdict)


def test_one_look_shows_no_refusal_for_certain() -> None:
    """For a moment it is normal that a block is stored and not executed yet."""
    fleet = change(four(["mute"], halted_s=20), "vh1", stored)
    check("block_not_executed", fleet, Open(), looks=1)
