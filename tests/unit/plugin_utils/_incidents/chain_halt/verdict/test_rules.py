# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a halt that are easily got wrong: power, votes, hosts, processes, journals."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import read
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, assess, held, ids, row
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import (
    Fleet,
    Host,
    Other,
    address,
    at,
    bad,
    four,
    mark,
)

PEER = {"outside": ["other"]}

# -- A, V, T, Q --


@pytest.mark.parametrize(
    ("powers", "down", "holds"),
    [
        ((1, 1, 1), 1, True),  # exactly one third
        ((2, 1, 1, 1, 1), 1, True),  # exactly one third, one of five heads
        ((1, 1, 1, 1), 1, False),
        ((34, 33, 33), 1, True),
        ((33, 34, 33), 1, False),
        ((1, 1, 1, 60), 3, False),  # three of four heads, one twentieth of the power
        ((60, 1, 1, 1), 1, True),
    ],
)
def test_power_decides_not_heads(powers: tuple[int, ...], down: int, holds: bool) -> None:
    hosts = [Host(f"h{index}", power, "stopped" if index < down else "voting") for index, power in enumerate(powers)]
    verdict = assess(Fleet([*hosts, Host("full")]))
    assert held(verdict)["processes_down"] == ("root" if holds else "symptom")
    if not holds:
        # Enough power votes, so it is a fault beside the halt, and asks for nothing.
        cause = next(entry for entry in verdict["causes"] if entry["id"] == "processes_down")
        assert cause["justifies"] == []
        assert held(verdict)["cannot_tell"] == "root"


def test_what_may_not_be_the_cause_is_a_symptom_beside_cannot_tell() -> None:
    """20 stopped, 20 busy, 60 vote: T - A = 80 is enough, V = 60 is not."""
    verdict = assess(Fleet([Host("a", 20, "stopped"), Host("b", 20, "busy"), Host("c", 60), Host("full")]))
    assert held(verdict) == {"cannot_tell": "root", "processes_down": "symptom"}
    assert all(cause["justifies"] == [] for cause in verdict["causes"])
    assert verdict["details"]["power"] == {
        "total": 100,
        "quorum": 67,
        "voting": 60,
        "absent": 20,
        "unknown": 20,
        "to_quorum": 7,
    }


def test_dead_consensus_is_neither_absent_nor_voting() -> None:
    verdict = assess(four(["dead_consensus"]))
    assert verdict["details"]["power"]["absent"] == 0
    assert verdict["details"]["power"]["voting"] == 60
    assert held(verdict) == {"consensus_failure": "root"}
    cause = verdict["causes"][0]
    assert (cause["weight"], cause["hosts"]) == (40, ["vh1"])
    assert "start_node" in cause["forbids"]
    assert row(verdict, "vh1")["state"] == "not_voting"


def test_down_beside_dead_consensus_are_two_roots() -> None:
    verdict = assess(four(["dead_consensus", "voting", "voting", "stopped"]))
    assert held(verdict) == {"consensus_failure": "root", "processes_down": "root"}
    assert verdict["causes"][1]["justifies"] == ["start_node", "thaw_node"]


def test_roots_come_by_the_power_they_cost() -> None:
    verdict = assess(four(["unreachable", "stopped"]))
    assert [cause["id"] for cause in verdict["causes"]] == ["hosts_unreachable", "processes_down"]
    assert [cause["weight"] for cause in verdict["causes"]] == [40, 30]


# -- a vote is history --


@pytest.mark.parametrize("doing", ["stopped", "killed", "crash_loop", "frozen", "frozen_group"])
def test_the_process_overrules_the_vote(doing: str) -> None:
    fleet = four([doing])
    fleet.hosts[0].vote = True
    verdict = assess(fleet)
    assert verdict["details"]["power"]["absent"] == 40
    assert row(verdict, "vh1")["state"] not in ("voting", "voted_at")


def test_an_old_vote_of_others_reads_voted_at() -> None:
    verdict = assess(four(others=[Other("other", 60)], halted_s=500))
    assert row(verdict, "other")["state"] == "voted_at"
    assert row(verdict, "other")["since"] == "2026-01-30T12:00:01Z"
    assert verdict["details"]["power"]["voting"] == 100
    assert verdict["details"]["power"]["unknown"] == 60


def test_a_vote_of_the_newest_round_counts_while_rounds_grow() -> None:
    verdict = assess(four(others=[Other("other", 60)], halted_s=5000, round=7, grow=2))
    assert row(verdict, "other")["state"] == "voting"
    assert verdict["details"]["power"]["voting"] == 160
    assert held(verdict) == {"cannot_tell": "root"}
    assert "rounds grow" in verdict["causes"][0]["because"]


def test_who_stopped_after_an_earlier_step_votes_no_more() -> None:
    """All prevoted, then the other died: the rest has precommitted, and its prevote is a minute old at most."""
    fleet = four(others=[Other("other", 60)], halted_s=40)
    bundle = fleet.bundle()
    other = address("other")
    for entry in bundle["observations"]:
        shown = entry["data"]["rpc"]["consensus"]["data"]
        index = [member["address"] for member in shown["validators"]].index(other)
        votes = shown["rounds"][0]
        votes["precommits"] = [vote for vote in votes["prevotes"] if vote[0] != index]
    verdict = _halt_verdict.assess(bundle)
    assert row(verdict, "other")["state"] == "voted_at"
    assert row(assess(fleet), "other")["state"] == "voting"


# -- unreachable is not off --


@pytest.mark.parametrize("doing", ["unreachable", "late"])
def test_unreachable_without_a_vote_is_absent(doing: str) -> None:
    verdict = assess(four([doing]))
    assert held(verdict) == {"hosts_unreachable": "root"}
    assert row(verdict, "vh1")["state"] == "unreachable"


def test_unreachable_ones_that_could_go_on_without_us_are_not_called_absent() -> None:
    """Only vh4 with 10 answers, and sees nobody: it may be the one that is cut off."""
    verdict = assess(four(["unreachable", "unreachable", "unreachable", "voting"]))
    assert held(verdict) == {"cannot_tell": "root"}
    assert verdict["details"]["power"]["absent"] == 0


def test_unreachable_that_votes_is_voting() -> None:
    fleet = four(["unreachable", "stopped", "stopped"], halted_s=40)
    fleet.hosts[0].vote = True
    verdict = assess(fleet)
    assert verdict["details"]["power"] == {
        "total": 100,
        "quorum": 67,
        "voting": 50,
        "absent": 50,
        "unknown": 0,
        "to_quorum": 17,
    }
    assert held(verdict) == {"processes_down": "root"}
    assert "hosts_unreachable" in ids(verdict, "refuted")
    assert "votes" in row(verdict, "vh1")["detail"]


def test_unreachable_that_voted_long_ago_cannot_be_told() -> None:
    fleet = four(["unreachable"], halted_s=900)
    fleet.hosts[0].vote = True
    verdict = assess(fleet)
    assert "hosts_unreachable" in ids(verdict, "cannot_tell")
    assert verdict["details"]["power"]["unknown"] == 40
    assert held(verdict) == {"cannot_tell": "root"}


def test_unreachable_on_a_moving_chain_still_signs() -> None:
    fleet = four(["unreachable"], moving=True)
    fleet.hosts[0].vote = True
    verdict = assess(fleet)
    assert verdict["details"]["power"]["voting"] == 100
    assert verdict["status"] == "degraded"
    assert "hosts_unreachable" in ids(verdict, "refuted")


# -- others missing, or we cut off --


def test_others_missing_needs_somebody_outside() -> None:
    verdict = assess(four(others=[Other("other", 60, vote=False)]))
    assert "others_missing" in ids(verdict, "cannot_tell")
    assert row(verdict, "other")["state"] == "unknown"
    assert "incident_reference_rpcs" in str(verdict["cannot_tell"])
    assert any("incident_reference_rpcs" in line for line in verdict["next"])


@pytest.mark.parametrize(
    "seen",
    [{"peers": PEER}, {"references": {"https://rpc.example": {"lacks": ["other"]}}}],
)
def test_others_missing_holds_where_an_outsider_lacks_their_votes_too(seen: Data) -> None:
    verdict = assess(four(others=[Other("other", 60, vote=False)], **seen))
    assert held(verdict) == {"others_missing": "root"}
    assert verdict["details"]["power"]["absent"] == 60
    assert row(verdict, "other")["state"] == "not_voting"


def test_an_outsider_that_has_their_votes_means_a_split() -> None:
    seen: Data = {"references": {"https://rpc.example": {"lacks": []}}}
    fleet = four(others=[Other("other", 60, vote=True)], **seen)
    bundle = fleet.bundle()
    for entry in bundle["observations"]:
        if entry["source"] == "node_evidence":
            shown = entry["data"]["rpc"]["consensus"]["data"]
            index = [member["address"] for member in shown["validators"]].index(address("other"))
            shown["rounds"][0]["prevotes"] = [vote for vote in shown["rounds"][0]["prevotes"] if vote[0] != index]
    verdict = _halt_verdict.assess(bundle)
    assert "others_missing" in ids(verdict, "cannot_tell")
    assert "split" in row(verdict, "other")["detail"]


def test_peers_of_a_young_halt_may_be_dead_connections() -> None:
    verdict = assess(four(others=[Other("other", 60, vote=False)], peers=PEER, halted_s=60))
    assert "others_missing" in ids(verdict, "cannot_tell")


def test_a_peer_that_may_be_our_own_silent_host_is_no_witness() -> None:
    """vh4 does not answer, so one unknown peer may be vh4."""
    fleet = four(["voting", "voting", "voting", "unreachable"], others=[Other("other", 60, vote=False)], peers=PEER)
    assert "others_missing" not in held(assess(fleet))
    fleet.peers = {"outside": ["other", "vh4"], "second": ["other", "vh4"]}
    assert "others_missing" in held(assess(fleet))


def test_our_own_node_is_no_outsider() -> None:
    verdict = assess(four(others=[Other("other", 60, vote=False)], peers={"vh5": ["other"]}))
    assert "others_missing" in ids(verdict, "cannot_tell")


# -- frozen, busy --


def test_silence_is_busy_and_never_frozen() -> None:
    verdict = assess(four(["busy"]))
    assert row(verdict, "vh1")["state"] == "busy"
    assert verdict["details"]["power"]["unknown"] == 40
    assert held(verdict) == {"cannot_tell": "root"}
    assert verdict["causes"][0]["justifies"] == []


def test_disk_wait_is_busy() -> None:
    def patch(data: Data, look: int) -> None:
        data["process"]["data"]["main"]["state"] = "D"

    fleet = four(["busy"])
    fleet.hosts[0].patch = patch
    assert row(assess(fleet), "vh1")["state"] == "busy"
    assert "disk" in row(assess(fleet), "vh1")["detail"]


def test_answers_but_not_about_consensus_is_busy() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["consensus"] = data["rpc"]["abci_info"] = bad("late")

    fleet = four()
    for host in fleet.hosts:
        host.patch = patch
    verdict = assess(fleet)
    assert {row(verdict, name)["state"] for name in ("vh1", "vh2", "vh3", "vh4")} == {"busy"}
    assert held(verdict) == {"application_stuck": "root"}


# -- app hashes --


def app(height: int, digest: str) -> t.Callable[[Data, int], None]:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["abci_info"]["data"].update(height=height, app_hash=digest)

    return patch


def test_app_hashes_are_compared_only_at_equal_height() -> None:
    fleet = four(moving=True)
    fleet.hosts[0].patch, fleet.hosts[1].patch = app(100, "AA" * 32), app(101, "BB" * 32)
    assert assess(fleet)["status"] == "healthy"
    fleet.hosts[1].patch = app(100, "BB" * 32)
    verdict = assess(fleet)
    assert verdict["status"] == "degraded"
    assert any("differ at height 100" in note for note in verdict["notes"])


# -- two hosts, one key --


def test_a_stopped_standby_does_not_speak_for_a_validator_out_of_sight() -> None:
    fleet = four(["unreachable"])
    fleet.hosts.append(Host("standby", 0, "stopped", key="vh1"))
    found = next(entry for entry in read(fleet.bundle()).validators if entry.address == address("vh1"))
    assert (found.host, found.state, found.hosts) == ("vh1", "unreachable", ("standby", "vh1"))


def test_a_standby_that_runs_with_the_key_speaks_for_it() -> None:
    fleet = four(["stopped"], others=[])
    fleet.hosts.append(Host("standby", 0, "voting", key="vh1"))
    bundle = fleet.bundle()
    for entry in bundle["observations"]:
        shown = entry["data"]["rpc"]["consensus"]
        if shown["ok"]:
            index = [member["address"] for member in shown["data"]["validators"]].index(address("vh1"))
            shown["data"]["rounds"][0]["prevotes"].append([index, "AB", at(1)])
    found = next(entry for entry in read(bundle).validators if entry.address == address("vh1"))
    assert (found.host, found.state) == ("standby", "voting")


# -- what stands in the journal --


def test_the_stated_reason_is_quoted_and_forbids_the_start() -> None:
    fleet = four(["crash_loop"])
    fleet.hosts[0].marks = [
        mark("exited"),
        mark("panic", "panic: x"),
        mark("no_space", "write: no space left on device"),
    ]
    verdict = assess(fleet)
    assert held(verdict) == {"disk_full": "root", "processes_down": "symptom"}
    assert "no space left on device" in row(verdict, "vh1")["detail"]
    assert row(verdict, "vh1")["state"] == "crashed"


def test_double_sign_check_is_a_reason_with_a_cure() -> None:
    fleet = four(["crash_loop"])
    fleet.hosts[0].marks = [mark("panic"), mark("double_sign_check", "found signature from the same key")]
    cause = assess(fleet)["causes"][0]
    assert cause["id"] == "double_sign_check"
    assert cause["justifies"] == ["relax_double_sign_check", "start_node", "restore_double_sign_check"]
    assert cause["forbids"] == []


def test_a_reason_of_an_earlier_life_is_none() -> None:
    fleet = four(["stopped"])
    fleet.hosts[0].marks = [mark("no_space", current=False), mark("peers_given_up"), mark("exited")]
    assert held(assess(fleet)) == {"processes_down": "root"}


def test_of_two_runs_in_a_minute_the_one_that_ended_last_says_why() -> None:
    """Its consensus died, somebody restarted it, and the newest run of the crash loop has said nothing yet."""
    fleet = four(["crash_loop"])
    failed = dict(mark("consensus_failure", current=False), first_at=at(-40), last_at=at(-40))
    ended = [dict(mark(kind, "panic: x", current=False), first_at=at(2), last_at=at(2)) for kind in ("panic", "exited")]
    fleet.hosts[0].marks = [failed, *ended]
    assert "panic: x" in row(assess(fleet), "vh1")["detail"]
    fleet.hosts[0].marks = [failed, ended[1]]
    assert "consensus failure" in row(assess(fleet), "vh1")["detail"]


def test_a_crash_without_a_reason_is_a_process_down() -> None:
    verdict = assess(four(["crash_loop"]))
    assert held(verdict) == {"processes_down": "root"}
    assert row(verdict, "vh1")["state"] == "crashed"


def test_a_journal_that_cannot_be_read_leaves_the_reason_open() -> None:
    def patch(data: Data, look: int) -> None:
        data["journal"] = bad("privilege")

    fleet = four(["crash_loop"])
    fleet.hosts[0].patch = patch
    assert "node_dead_for_reason" in ids(assess(fleet), "cannot_tell")


# -- a vote for a decided block --


def test_a_vote_for_the_last_block_does_not_count_for_the_next() -> None:
    """It signed block 208 forty seconds ago, and nothing since: for an absent one that is no sign of life."""
    fleet = four(["unreachable"], halted_s=35)
    bundle = fleet.bundle()
    for entry in bundle["observations"]:
        if entry["ok"]:
            newest = entry["data"]["rpc"]["commits"]["data"]["commits"][0]
            assert address("vh1") in [signer for signer, _when in newest["signed"]]
    verdict = _halt_verdict.assess(bundle)
    assert verdict["details"]["power"]["absent"] == 40
    assert held(verdict) == {"hosts_unreachable": "root"}


def decided(data: Data, look: int) -> None:
    """Block 208 is stored, the application stands at 207 (a panic, an upgrade, a full disk)."""
    data["rpc"]["consensus"]["data"].update(height=208, step=8)
    data["rpc"]["abci_info"]["data"].update(height=207, app_hash=f"{207:064X}")


def test_votes_of_a_decided_block_say_nothing_about_who_votes() -> None:
    fleet = four(["voting", "voting", "voting", "unreachable"], others=[Other("other", 60)], halted_s=35)
    fleet.hosts[3].vote = True
    for host in fleet.hosts:
        host.patch = decided if host.answers else None
    verdict = assess(fleet)
    assert verdict["details"]["power"]["voting"] == verdict["details"]["power"]["absent"] == 0
    assert row(verdict, "vh1")["state"] == "not_voting"
    assert held(verdict) == {"block_not_executed": "root"}


def test_an_application_that_works_on_a_decided_block_is_busy() -> None:
    def patch(data: Data, look: int) -> None:
        decided(data, look)
        data["rpc"]["abci_info"] = bad("late")

    fleet = four()
    for host in fleet.hosts:
        host.patch = patch
    assert row(assess(fleet), "vh1")["state"] == "busy"
