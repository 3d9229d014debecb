# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes that a journal states: upgrades, binaries, halt heights, the double-sign check, genesis."""

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
    setting,
    stored,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import held
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import at, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import Data

ELSEWHERE = part("genesis", sha256="77" * 32)
PLAN = part("upgrade", plan={"name": "v2", "height": 208}, cosmovisor=True, upgrade_binary_present=False)
LATER = part("genesis", genesis_time=at(4000))


def on_another_chain(data: Data, look: int) -> None:
    part("genesis", chain_id="other-1", sha256="77" * 32)(data, look)
    part("rpc.status", chain_id="other-1", height=7, block_hash="EE" * 32)(data, look)


ROWS: Table = {
    "upgrade_needed": [
        (
            "lives",
            lambda: blocked("mute", "upgrade", patches=[stored]),
            Holds(ROOT, 40, "vh1", "v2 is due at height 208"),
        ),
        (
            "loops",
            lambda: blocked("crash_loop", "replay_upgrade"),
            Holds(ROOT, 40, "vh1", "upgrade v2 is due at height 208"),
        ),
        (
            "no binary",
            lambda: blocked("mute", "upgrade", patches=[PLAN]),
            Holds(ROOT, 40, "vh1", "its binary is not there"),
        ),
        (
            "a real journal of a halt",
            lambda: change(four(["mute"]), "vh1", stored, marks=journal("upgrade-halt")),
            Holds(ROOT, 40, "vh1", "upgrade v9.9.9 is due at height 170, the binary that runs lacks it"),
        ),
        (
            "a real journal of a restart",
            lambda: change(four(["crash_loop"]), "vh1", marks=journal("upgrade-restart")),
            Holds(ROOT, 40, "vh1", "upgrade v9.9.9 is due at height 170"),
        ),
        (
            "on all",
            lambda: change(four(["mute"] * 4), EVERY, stored, marks=says("upgrade")),
            Holds(ROOT, 100, "vh1 vh2 vh3 vh4", "on vh1 (40), vh2 (30), vh3 (20), vh4 (10): upgrade v2"),
        ),
        (
            "of an earlier run",
            lambda: change(four(["stopped"]), "vh1", marks=says("upgrade", current=False)),
            Refuted("none of our hosts that take no part shows it"),
        ),
        ("the file alone is history", lambda: blocked("stopped", patches=[PLAN]), Refuted()),
        (
            "no journal",
            lambda: blocked("stopped", patches=[lost("journal")]),
            Open("the journal and evidence of vh1 (40)"),
        ),
        ("no host", lambda: four(["unreachable"] * 4), Open()),
    ],
    "wrong_binary": [
        ("too old", lambda: blocked("mute", "old_binary"), Holds(ROOT, 40, "vh1", "older than the chain's state")),
        (
            "too new",
            lambda: blocked("crash_loop", "new_binary"),
            Holds(ROOT, 40, "vh1", "newer than the upgrade that is due"),
        ),
        ("an upgrade is due", lambda: blocked("mute", "upgrade"), Refuted()),
        ("no journal", lambda: blocked("crash_loop", patches=[lost("journal")]), Open("vh1 (40)")),
    ],
    "halt_height": [
        (
            "set in app.toml",
            lambda: blocked("mute", "halt_height", patches=[stored, setting(halt_height=208)]),
            Holds(ROOT, 40, "vh1", "halt-height is 208 (config.toml)"),
        ),
        (
            "a time",
            lambda: blocked("mute", "halt_height", patches=[setting(halt_time=1769774400)]),
            Holds(ROOT, 40, "vh1", "halt-time is 2026-01-30T12:00:00Z"),
        ),
        (
            "taken out since",
            lambda: blocked("mute", "halt_height"),
            Holds(ROOT, 40, "vh1", "configuration no longer names"),
        ),
        ("loops", lambda: blocked("crash_loop", "replay_halt"), Holds(ROOT, 40, "vh1", "halt height")),
        ("stopped by somebody", lambda: blocked("stopped", "replay_halt"), Holds(ROOT, 40, "vh1", "halt height")),
        (
            "a real journal",
            lambda: change(four(["mute"]), "vh1", stored, setting(halt_height=248), marks=journal("halt-height")),
            Holds(ROOT, 40, "vh1", "halt-height is 248"),
        ),
        (
            "blocks come",
            lambda: blocked("mute", "halt_height", moving=True),
            Holds(ROOT, 40, "vh1", "40 of 100 power is lost, and blocks still come"),
        ),
        ("set, and not reached", lambda: blocked("stopped", patches=[setting(halt_height=400)]), Refuted()),
        ("no journal", lambda: blocked("stopped", patches=[lost("journal")]), Open()),
    ],
    "double_sign_check": [
        (
            "refused",
            lambda: blocked("crash_loop", "same_key", patches=[setting(double_sign_check_height=10)]),
            Holds(ROOT, 40, "vh1", "double_sign_check_height is 10"),
        ),
        (
            "a real journal",
            lambda: change(four(["crash_loop"]), "vh1", marks=journal("dsch-refusal")),
            Holds(ROOT, 40, "vh1", "found signature from the same key"),
        ),
        ("set, and not met", lambda: blocked("stopped", patches=[setting(double_sign_check_height=10)]), Refuted()),
        ("no journal", lambda: blocked("failed", patches=[lost("journal")]), Open()),
    ],
    "other_genesis": [
        (
            "another file",
            lambda: change(four(["stopped"]), "vh1", ELSEWHERE),
            Holds(ROOT, 40, "vh1", "SHA-256 777777777777"),
        ),
        (
            "another chain",
            lambda: change(four(["voting"] * 4 + ["mute"]), "vh5", on_another_chain),
            Holds(SYMPTOM, 0, "vh5", "its genesis is of chain other-1"),
        ),
        (
            "only its RPC says so",
            lambda: change(four(["voting"] * 4 + ["mute"]), "vh5", on_another_chain, lost("genesis")),
            Holds(SYMPTOM, 0, "vh5", "of chain other-1 (SHA-256 not known)"),
        ),
        ("the same on all", lambda: four(["stopped"]), Refuted()),
        (
            "equally many of each",
            lambda: change(four(["stopped", "stopped", "voting", "voting", "unreachable"]), "vh1 vh2", ELSEWHERE),
            Open("others have another"),
        ),
        ("not seen", lambda: blocked("stopped", patches=[lost("genesis")]), Open("its genesis file cannot be seen")),
        (
            "it votes on another chain's state, and rounds rise",
            lambda: change(four(round=3, grow=2, halted_s=400), "vh1", on_another_chain),
            Holds(ROOT, 40, "vh1", "at most 60 can vote; 67 of 100 are needed"),
        ),
        (
            "it signs this chain's blocks: the file's form may differ alone",
            lambda: change(four(moving=True), "vh1", ELSEWHERE),
            Open("vh1, voting"),
        ),
        (
            "it votes, though",
            lambda: change(four(["stopped"], halted_s=40), "vh4", ELSEWHERE, vote=True),
            Open("whether this keeps it from voting: vh4, voting"),
        ),
    ],
    "genesis_in_future": [
        (
            "sleeps",
            lambda: blocked("busy", "genesis", patches=[LATER]),
            Holds(ROOT, 40, "vh1", "s from now: it sleeps until then"),
        ),
        (
            "and its file is another",
            lambda: blocked("busy", patches=[LATER, ELSEWHERE]),
            Holds(ROOT, 40, "vh1", "sleeps until"),
        ),
        ("nothing said", lambda: blocked("busy", patches=[LATER]), Holds(ROOT, 40, "vh1", "2026-01-30T13:06:40Z")),
        ("it is past", lambda: blocked("busy", "genesis"), Refuted()),
        (
            "nobody sees when",
            lambda: blocked("busy", "genesis", patches=[lost("genesis")]),
            Open("slept until the genesis time"),
        ),
        ("it answers", lambda: blocked("mute", patches=[LATER]), Open("but it answers")),
    ],
}


@pytest.mark.parametrize(("cause", "make", "answer"), table(ROWS))
def test_told(cause: str, make: Make, answer: Answer) -> None:
    check(cause, make(), answer)


def test_what_a_halt_height_justifies_waits_for_a_person() -> None:
    verdict = check("halt_height", blocked("mute", "halt_height"), Holds(ROOT, 40, "vh1", ""))
    cause = verdict["causes"][0]
    assert cause["justifies"] == ["stop_node", "clear_halt_height", "start_node"]
    assert any("coordinated" in line for line in [cause["decide"], *verdict["next"]]) or "agreed" in cause["decide"]


@pytest.mark.parametrize("line", ["upgrade", "halt_height", "panic", "disk_full"])
def test_one_above_the_application_at_step_8_is_a_refused_block_and_no_divergence(line: str) -> None:
    verdict = check("app_hash_divergence", change(four(["mute"] * 4), EVERY, stored, marks=says(line)), Refuted())
    roots = {cause for cause, role in held(verdict).items() if role == "root"}
    assert roots == {
        {"upgrade": "upgrade_needed", "panic": "application_panics"}.get(line, line),
    }
    assert held(verdict)["block_not_executed"] == "symptom"
