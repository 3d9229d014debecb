# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes about keys: signing state, remote signers, one key on two hosts."""

from __future__ import annotations

import typing as t

import pytest

from tests.unit.plugin_utils._incidents.chain_halt.causes.asking import (
    ROOT,
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
    Patch,
    blocked,
    change,
    lost,
    part,
    says,
    setting,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import assess, held
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Host, four


def state(height: int, round_: int = 0, step: int = 3) -> Patch:
    return part("signer", state={"height": height, "round": round_, "step": step})


def absent(kind: str = "absent") -> Patch:
    return part("signer", state=None, state_error={"kind": kind, "text": "priv_validator_state.json: no such file"})


REMOTE = part("signer", remote=True, state=None)


def with_copy(doing: str, *patches: Patch, of: str = "vh1", **changes: t.Any) -> Fleet:
    """A fifth host with vh1's key file."""
    fleet = four(**changes)
    fleet.hosts.append(Host("copy", 0, doing, key=of))
    return change(fleet, "copy", *patches)


ROWS: Table = {
    "signing_state_missing": [
        ("said", lambda: blocked("failed", "state_missing"), Holds(ROOT, 40, "vh1", "no such file or directory")),
        ("empty", lambda: blocked("failed", "state_empty"), Holds(ROOT, 40, "vh1", "cannot decode empty bytes")),
        ("stopped before", lambda: blocked("stopped", patches=[absent()]), Holds(ROOT, 40, "vh1", "cannot be read")),
        (
            "not JSON",
            lambda: blocked("stopped", patches=[absent("malformed")]),
            Holds(ROOT, 40, "vh1", "cannot be read"),
        ),
        ("the signer has it", lambda: blocked("stopped", patches=[absent(), REMOTE]), Refuted()),
        ("no rights", lambda: blocked("stopped", patches=[absent("privilege")]), Refuted()),
        ("there", lambda: blocked("stopped"), Refuted()),
        ("not seen", lambda: blocked("stopped", patches=[lost("signer")]), Open("its signing state cannot be seen")),
    ],
    "signing_state_ahead": [
        (
            "lives, never signs",
            lambda: blocked("mute", "height_regression", patches=[state(100033)]),
            Holds(ROOT, 40, "vh1", "of height 100033, the chain is at 208"),
        ),
        ("stopped", lambda: blocked("stopped", patches=[state(100033)]), Holds(ROOT, 40, "vh1", "of height 100033")),
        ("for the block that is due", lambda: blocked("stopped", patches=[state(209)]), Refuted()),
        ("two ahead", lambda: blocked("stopped", patches=[state(210)]), Refuted()),
        (
            "the signer's counts",
            lambda: blocked("stopped", patches=[state(100033), part("signer", remote=True)]),
            Refuted(),
        ),
        ("not seen", lambda: blocked("mute", patches=[lost("signer")]), Open("its signing state cannot be seen")),
        (
            "only one that may be behind answers",
            lambda: change(four(["stopped"] * 4), "vh5", behind=90),
            Open("the chain is at 118"),
        ),
    ],
    "signing_state_behind": [
        (
            "restored: no message anywhere",
            lambda: change(four(["stopped"]), "vh1", state(200), vote=True),
            Holds(ROOT, 40, "vh1", "height/round/step 200/0/3, the chain has its signature of 209/0/2"),
        ),
        (
            "by one step",
            lambda: change(four(["stopped"]), "vh1", state(209, 0, 1), vote=True),
            Holds(ROOT, 40, "vh1", "209/0/1"),
        ),
        ("of its last vote", lambda: change(four(["stopped"]), "vh1", state(209, 0, 2), vote=True), Refuted()),
        ("it runs: its file is older than its votes", lambda: change(four(["stopped"]), "vh2", state(200)), Refuted()),
        ("not seen", lambda: blocked("stopped", patches=[lost("signer")]), Open("its signing state cannot be seen")),
        ("no host", lambda: four(["unreachable"]), Open("vh1 (40)")),
    ],
    "remote_signer": [
        (
            "away",
            lambda: blocked("mute", "signer", patches=[setting(priv_validator_laddr="tcp://0.0.0.0:26659"), REMOTE]),
            Holds(ROOT, 40, "vh1", "priv_validator_laddr is tcp://0.0.0.0:26659: ERR SignerListener: Ping timeout"),
        ),
        (
            "said before the newest block",
            lambda: change(four(["mute"]), "vh1", marks=says("signer", seconds=-9)),
            Open("vh1"),
        ),
        ("it votes", lambda: change(four(["stopped"]), "vh2", marks=says("signer")), Open("vh2, voting")),
        ("a file", lambda: blocked("mute"), Refuted()),
        ("no journal", lambda: blocked("mute", patches=[lost("journal")]), Open()),
    ],
    "key_on_two_hosts": [
        (
            "while the chain runs",
            lambda: with_copy("voting", moving=True),
            Holds(ROOT, 40, "copy vh1", "runs on copy, vh1: the local key files are of one address"),
        ),
        ("in a halt", lambda: with_copy("mute"), Holds(ROOT, 40, "copy vh1", "runs on")),
        ("a silent process runs, too", lambda: with_copy("busy", moving=True), Holds(ROOT, 40, "copy vh1", "runs on")),
        ("frozen, it may go on", lambda: with_copy("frozen", moving=True), Holds(ROOT, 40, "copy vh1", "runs on")),
        ("a standby", lambda: with_copy("stopped", moving=True), Refuted()),
        ("a standby that crashed", lambda: with_copy("failed", moving=True), Refuted()),
        ("remote signers", lambda: change(with_copy("voting", REMOTE, moving=True), "vh1", REMOTE), Refuted()),
        ("one remote signer", lambda: with_copy("voting", REMOTE, moving=True), Refuted()),
        ("keys of their own", lambda: four(moving=True), Refuted("no two hosts of ours run")),
        ("a host that is not seen", lambda: four(["unreachable"]), Open("which keys are on vh1")),
        ("a key that is not seen", lambda: change(four(), "vh2", lost("signer")), Open("which keys are on vh2")),
        (
            "a host without a key",
            lambda: change(four(), "vh5", part("signer", address=None, key_file=False)),
            Refuted(),
        ),
        ("who signs is not known", lambda: change(four(), "vh2", part("signer", remote=None)), Open("vh2")),
        ("a key file that cannot be read", lambda: change(four(), "vh5", part("signer", address=None)), Open("vh5")),
    ],
}


@pytest.mark.parametrize(("cause", "make", "answer"), table(ROWS))
def test_told(cause: str, make: Make, answer: Answer) -> None:
    check(cause, make(), answer)


def test_one_key_on_two_hosts_is_severe_while_the_chain_runs() -> None:
    verdict = assess(with_copy("voting", moving=True))
    assert (verdict["status"], verdict["severity"]) == ("degraded", "SEV-1")
    assert "One consensus key runs on two hosts" in verdict["summary"]
    cause = next(entry for entry in verdict["causes"] if entry["id"] == "key_on_two_hosts")
    assert cause["severity"] == "SEV-1"
    assert {"start_node", "stop_node"} <= set(cause["forbids"])
    assert any("SECURITY" in line and "copy, vh1" in line for line in verdict["next"])


def test_a_key_that_is_not_seen_does_not_make_it_healthy() -> None:
    verdict = assess(with_copy("voting", lost("signer"), moving=True))
    assert (verdict["status"], verdict["severity"]) == ("unknown", None)
    assert "one may run twice" in verdict["summary"]


def test_a_standby_is_a_note() -> None:
    verdict = assess(with_copy("stopped", moving=True))
    assert "key_on_two_hosts" not in held(verdict)
    assert any(
        "It must never run on two of them" in note and "on copy it does not run" in note for note in verdict["notes"]
    )


def test_votes_that_a_reference_heard_show_a_state_that_is_behind() -> None:
    """Only the RPC outside has the vote of vh1: for power it counts nothing, for a signature it is proof."""
    fleet = change(four(["stopped"], references={"https://rpc.example": {}}), "vh1", state(200), vote=True)
    for name in ("vh2", "vh3", "vh4", "vh5"):
        change(fleet, name, part("rpc.consensus", rounds=[]))
    check("signing_state_behind", fleet, Holds(ROOT, 40, "vh1", "209/0/2"))
