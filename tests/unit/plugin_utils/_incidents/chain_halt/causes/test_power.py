# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes by which power is missing, and those that say it is no halt at all."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle

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
    entry,
    table,
)
from tests.unit.plugin_utils._incidents.chain_halt.causes.fleets import EVERY, change, lost, part, setting
from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, assess, held
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import (
    Fleet,
    Host,
    Other,
    address,
    at,
    bad,
    four,
    ok,
)

OUTSIDE: dict[str, t.Any] = {"peers": {"outside": ["other"]}}
JAILED = {"address": address("vh4"), "until": at(10**7), "tombstoned": False, "missed": 9}


def jailed(**values: object) -> Fleet:
    """vh4 has left the set; some of its power is what the chain lacks now."""
    fleet = change(four(["stopped"]), "vh4", power=0)
    host = next(entry for entry in fleet.hosts if entry.name == "vh4")
    host.declared = True
    if values:
        change(fleet, "vh2", part("rpc.jailed", jailed=[{**JAILED, **values}]))
    return fleet


def idle(txs: int = 0, config: bool = True) -> Fleet:
    fleet = change(four(step=2), EVERY, part("rpc.mempool", txs=txs), vote=False)
    return change(fleet, EVERY, setting(create_empty_blocks=False)) if config else fleet


ROWS: Table = {
    "processes_down": [
        ("stopped", lambda: four(["stopped"]), Holds(ROOT, 40, "vh1", "stopped, crashed or frozen: vh1 (40)")),
        ("frozen", lambda: four(["frozen"]), Holds(ROOT, 40, "vh1", "at most 60 can vote; 67 of 100")),
        ("killed, and a crash without a reason", lambda: four(["killed", "failed"]), Holds(ROOT, 70, "vh1 vh2", "")),
        ("too little to halt", lambda: four(["voting"] * 3 + ["stopped"]), Holds(SYMPTOM, 10, "vh4", "not what stops")),
        (
            "blocks come",
            lambda: four(["voting"] * 3 + ["stopped"], moving=True),
            Holds(ROOT, 10, "vh4", "blocks still come"),
        ),
        ("all run", lambda: four(["mute"]), Refuted("the processes of all our validators")),
        (
            "none is ours",
            lambda: Fleet([Host("full")], [Other("other", 9)]),
            Refuted("no validator of the set is ours"),
        ),
        ("nothing tells", lambda: four(["blind"]), Open("what the processes do of vh1 (40)")),
        ("no host can be reached", lambda: four(["unreachable"] * 4), Open("none of their hosts can be reached")),
        (
            "no set",
            lambda: change(four(["stopped"]), EVERY + " vh5", lost("rpc.validators", "rpc.consensus")),
            Open("set"),
        ),
    ],
    "hosts_unreachable": [
        ("off", lambda: four(["unreachable"]), Holds(ROOT, 40, "vh1", "unreachable, and no vote of theirs is seen")),
        ("late", lambda: four(["late"]), Holds(ROOT, 40, "vh1", "")),
        ("all answer", lambda: four(["stopped"]), Refuted("the hosts of all our validators answer")),
        (
            "it votes",
            lambda: change(four(["unreachable"], halted_s=40), "vh1", vote=True),
            Refuted("their votes are seen"),
        ),
        ("it voted long ago", lambda: change(four(["unreachable"], halted_s=900), "vh1", vote=True), Open("vh1 (40)")),
        ("ours may be cut off", lambda: four(["unreachable"] * 3), Open("whether")),
        (
            "nobody shows votes",
            lambda: change(four(["unreachable"]), "vh2 vh3 vh4", vote=False),
            Open("whether vh1 (40)"),
        ),
    ],
    "others_missing": [
        (
            "an outsider lacks them, too",
            lambda: four(others=[Other("other", 60, vote=False)], **OUTSIDE),
            Holds(ROOT, 60, "", "validators that are not ours do not vote"),
        ),
        (
            "from inside it looks as if we were cut off",
            lambda: four(others=[Other("other", 60, vote=False)]),
            Open("looks the same"),
        ),
        (
            "their votes are old",
            lambda: four(others=[Other("other", 60)], halted_s=900),
            Open("nothing newer is known"),
        ),
        (
            "enough vote beside them",
            lambda: four(others=[Other("other", 9, vote=False)]),
            Open("100 do, and 73 are needed"),
        ),
        (
            "they vote",
            lambda: four(["stopped"], others=[Other("other", 9)], halted_s=40),
            Refuted("of all others are seen"),
        ),
        ("all are ours", lambda: four(["stopped"]), Refuted("all validators of the set are ours")),
    ],
    "removed_from_set": [
        (
            "jailed",
            lambda: jailed(tombstoned=False),
            Holds(SYMPTOM, 0, "vh4", "vh4 (jailed until 2026-05-26T05:46:40Z)"),
        ),
        ("tombstoned", lambda: jailed(tombstoned=True), Holds(SYMPTOM, 0, "vh4", "tombstoned: for ever")),
        (
            "somebody else is",
            lambda: change(four(["stopped"]), "vh2", part("rpc.jailed", jailed=[{**JAILED, "address": "AB" * 20}])),
            Refuted(),
        ),
        ("in the set", lambda: four(["stopped"]), Refuted("every validator that the inventory declares")),
        ("no set", lambda: four(["unreachable"] * 5), Open("the validator set")),
    ],
    "not_halted": [
        ("blocks come", lambda: four(moving=True), Holds(ROOT, 0, "", "new blocks came between the looks")),
        ("old", lambda: four(["stopped"]), Refuted("no new one came between the looks")),
        ("young", lambda: four(halted_s=5), Open("a new block between two looks")),
        ("no RPC", lambda: four(["unreachable"] * 5), Open("no RPC that counts answers")),
        ("idle", idle, Open("this chain makes none without transactions")),
    ],
    "idle_chain": [
        ("waits for transactions", idle, Holds(ROOT, 0, "", "no transaction waits")),
        ("a node waits in step 2", lambda: idle(config=False), Holds(ROOT, 0, "", "")),
        ("transactions wait", lambda: idle(txs=3), Open("although transactions wait on vh1 (3)")),
        ("nobody shows its mempool", lambda: change(idle(), EVERY + " vh5", lost("rpc.mempool")), Open("its mempool")),
        ("no step is seen", lambda: change(four(), EVERY + " vh5", lost("rpc.consensus")), Open("shows a step")),
        ("nothing answers", lambda: four(["unreachable"] * 5), Open("shows a step")),
        ("votes are there", lambda: four(step=2), Open("whether a block is due")),
        ("a round runs", lambda: four(["stopped"]), Refuted("a block is due")),
    ],
    "node_behind": [
        (
            "one of ours",
            lambda: change(four(moving=True), "vh4", behind=300, vote=False),
            Holds(ROOT, 10, "vh4", "the chain is at 213 and moves; vh4 at -87"),
        ),
        ("all have the newest", lambda: four(moving=True), Refuted("have the newest blocks")),
        ("a halt", lambda: four(["stopped"]), Refuted("no node, ours or outside, has a newer block")),
        ("one look", lambda: four(["unreachable"] * 5), Open("whether the network makes blocks")),
    ],
}


@pytest.mark.parametrize(("cause", "make", "answer"), table(ROWS))
def test_told(cause: str, make: Make, answer: Answer) -> None:
    check(cause, make(), answer)


def test_a_module_that_failed_says_nothing_about_its_host() -> None:
    bundle = four(["unreachable"]).bundle()
    for observed in bundle["observations"]:
        if not observed["ok"]:
            observed["error"] = bad("failed")["error"]
    verdict = _halt_verdict.assess(_bundle.check(bundle, CHAIN_HALT))
    assert entry(verdict, "hosts_unreachable")[0] == "cannot_tell"
    assert held(verdict) == {"cannot_tell": "root"}


# -- the network lives without ours --


def beyond(urls: t.Sequence[str], signers: t.Sequence[str] = ("vh1", "vh2", "other"), rise: int = 5) -> Data:
    """Ours stand at 208 since 200 s; these RPCs outside show newer blocks, signed by ``signers``."""
    fleet = four(others=[Other("other", 900)], references={url: {} for url in urls})
    bundle = fleet.bundle()
    for observed in bundle["observations"]:
        if observed["source"] != "cometbft_info":
            continue
        height = 215 + rise * observed["look"]
        seen = at(200 + 6 * (observed["look"] - 1) - 1)
        signed = [[address(name), seen] for name in signers]
        commit = {"height": height, "round": 0, "block_hash": "EE" * 32, "time": seen, "signed": signed, "nil": []}
        data = observed["data"]
        data["status"]["data"].update(height=height, block_time=seen, block_hash="EE" * 32)
        data["consensus"]["data"].update(height=height + 1, rounds=[])
        data["commits"] = ok({"commits": [{**commit, "absent": []}]})
    return _bundle.check(bundle, CHAIN_HALT)


def test_two_references_that_move_hand_over_to_node_out_of_sync() -> None:
    verdict = _halt_verdict.assess(beyond(["https://a.example", "https://b.example"]))
    assert (verdict["status"], verdict["severity"]) == ("degraded", "SEV-3")
    assert held(verdict)["node_behind"] == "root"
    cause = entry(verdict, "node_behind")[1]
    assert cause["hosts"] == ["vh1", "vh2", "vh3", "vh4", "vh5"]
    assert cause["runbook_step"] == "7. Node Out of Sync"
    assert "not_halted" in held(verdict)


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(lambda: beyond(["https://a.example"]), id="one reference"),
        pytest.param(
            lambda: beyond(["https://a.example", "https://b.example"], ["vh1"]), id="no quorum in its commits"
        ),
        pytest.param(lambda: beyond(["https://a.example", "https://b.example"], []), id="nobody signed"),
    ],
)
def test_what_no_quorum_and_no_second_one_bears_out_is_unknown(bundle: t.Callable[[], Data]) -> None:
    verdict = _halt_verdict.assess(bundle())
    assert verdict["status"] == "unknown"
    assert "node_behind" not in held(verdict)
    assert entry(verdict, "not_halted")[0] == "cannot_tell"
    for cause in ("network_split", "proposals_late", "proposals_refused", "slow_chain", "proposer_silent"):
        assert "new blocks come" not in str(entry(verdict, cause)[1]), cause


def test_cannot_tell_holds_where_nothing_explains() -> None:
    verdict = check("cannot_tell", four(["mute"]), Holds(ROOT, 0, "", "vh1 (40): runs and answers, without a vote"))
    assert any("Restart nothing" in line for line in verdict["next"])
    check("cannot_tell", four(["stopped"]), Refuted("processes_down"))
    check("cannot_tell", four(moving=True), Refuted("not_halted"))
    check("cannot_tell", four(["unreachable"] * 5), Holds(ROOT, 0, "", "not known: the newest block"))
    assert assess(four(["mute"]))["status"] == "incident"
