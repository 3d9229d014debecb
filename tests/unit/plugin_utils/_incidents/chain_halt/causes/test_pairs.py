# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two faults at once: both are named, roots first, ordered by the power they cost."""

from __future__ import annotations

import typing as t

import pytest

from tests.unit.plugin_utils._incidents.chain_halt.causes.asking import Make
from tests.unit.plugin_utils._incidents.chain_halt.causes.fleets import (
    Patch,
    app,
    change,
    journal,
    part,
    says,
    sees,
    setting,
    stored,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import assess
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Other, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import Data

FULL = part("disk", free_bytes=0)
NO_PEERS = part("rpc.net_info", count=0)
BEHIND = part("signer", state={"height": 100, "round": 0, "step": 3})


def hangs(data: Data, look: int) -> None:
    for name in ("abci_info", "consensus"):
        data["rpc"][name] = {"ok": False, "error": {"kind": "late", "text": "no answer"}}


def pair(first: str, second: str, *patches: Patch, lines: str = "", others: str = "", **changes: t.Any) -> Fleet:
    """vh1 (40) does ``first`` with these patches and lines, vh2 (30) does ``second`` with the lines of ``others``."""
    fleet = change(four([first, second], **changes), "vh1", *patches, marks=says(*lines.split()) if lines else [])
    return change(fleet, "vh2", marks=says(*others.split())) if others else fleet


def split_and_stopped() -> Fleet:
    fleet = four(["voting", "voting", "voting", "stopped"])
    change(fleet, "vh1 vh5", sees("vh1"))
    return change(fleet, "vh2 vh3", sees("vh2", "vh3"))


def diverged_and_stopped() -> Fleet:
    fleet = change(four(["stopped", "voting", "mute"]), "vh3", app("BB"), marks=journal("diverged-vh3"))
    return change(fleet, "vh2 vh4 vh5", part("rpc.blocks", headers=[[209, f"{208:064X}"]]))


PAIRS: list[tuple[str, Make, list[str]]] = [
    (
        "cut off, disk full",
        lambda: pair("unreachable", "mute", others="disk_full"),
        ["hosts_unreachable 40", "disk_full 30"],
    ),
    ("disk full, stopped", lambda: pair("stopped", "stopped", FULL), ["disk_full 40", "processes_down 30"]),
    ("app-hash minority, a third is stopped", diverged_and_stopped, ["processes_down 40", "app_hash_divergence 20"]),
    ("split, stopped", split_and_stopped, ["network_split 40"]),
    (
        "upgrade, frozen",
        lambda: pair("mute", "frozen", stored, lines="upgrade"),
        ["upgrade_needed 40", "processes_down 30"],
    ),
    (
        "halt height, cut off",
        lambda: pair("mute", "unreachable", stored, setting(halt_height=208), lines="halt_height"),
        ["halt_height 40", "hosts_unreachable 30"],
    ),
    (
        "panic, database",
        lambda: pair("mute", "failed", stored, lines="panic", others="manifest"),
        ["application_panics 40", "database_damaged 30"],
    ),
    (
        "double-sign check, killed",
        lambda: pair("crash_loop", "killed", lines="same_key"),
        ["double_sign_check 40", "processes_down 30"],
    ),
    ("no peers, stopped", lambda: pair("mute", "stopped", NO_PEERS), ["few_peers 40", "processes_down 30"]),
    (
        "write-ahead log, remote signer",
        lambda: pair("mute", "mute", lines="wal_missing round_regression", others="signer"),
        ["wal_lost 40", "remote_signer 30"],
    ),
    ("hangs, stopped", lambda: pair("mute", "stopped", hangs), ["application_stuck 40", "processes_down 30"]),
    (
        "signing state behind, missing",
        lambda: change(pair("stopped", "failed", BEHIND, others="state_missing"), "vh1", vote=True),
        ["signing_state_behind 40", "signing_state_missing 30"],
    ),
    (
        "old binary, read-only",
        lambda: pair("mute", "mute", lines="old_binary", others="read_only"),
        ["wrong_binary 40", "disk_unwritable 30"],
    ),
    (
        "stopped, files",
        lambda: pair("stopped", "mute", others="files"),
        ["processes_down 40", "node_dead_for_reason 30"],
    ),
    (
        "others away, stopped",
        lambda: four(["stopped"], others=[Other("other", 60, vote=False)], peers={"outside": ["other", "vh1"]}),
        ["others_missing 60", "processes_down 40"],
    ),
]


@pytest.mark.parametrize(("make", "roots"), [pytest.param(*row[1:], id=row[0]) for row in PAIRS])
def test_both_are_named_roots_first_by_power(make: Make, roots: list[str]) -> None:
    verdict = assess(make())
    assert verdict["status"] == "incident"
    roles = [cause["role"] for cause in verdict["causes"]]
    assert roles == sorted(roles), "roots first"
    assert [f"{cause['id']} {cause['weight']}" for cause in verdict["causes"] if cause["role"] == "root"] == roots
    assert "cannot_tell" not in {cause["id"] for cause in verdict["causes"]}


def test_the_stopped_one_of_a_split_is_named_beside_it() -> None:
    """Together the parts would have a quorum without it, so the split stops the chain and the stop does not."""
    causes = {cause["id"]: cause["role"] for cause in assess(split_and_stopped())["causes"]}
    assert causes == {"network_split": "root", "processes_down": "symptom"}
