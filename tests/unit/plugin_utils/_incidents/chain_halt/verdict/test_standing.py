# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Halted, moving, healthy, or nobody can tell."""

from __future__ import annotations

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import read
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.variables import ADDRESS
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, assess, held, ids, row
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Other, address, at, four, ok

# -- halted or not --


@pytest.mark.parametrize(
    ("halted_s", "interval_s", "status"),
    [
        (20.0, 1.0, "unknown"),
        (23.0, 1.0, "unknown"),
        (25.0, 1.0, "incident"),
        (100.0, 20.0, "unknown"),
        (115.0, 20.0, "incident"),
        (40.0, None, "incident"),
        (200.0, 10.0**9, "incident"),
        (200.0, -5.0, "incident"),
    ],
)
def test_old_enough(halted_s: float, interval_s: float | None, status: str) -> None:
    """The second look is six seconds after the first: the age then is compared with max(30 s, six intervals)."""
    assert assess(four(["stopped"], halted_s=halted_s, interval_s=interval_s))["status"] == status


def test_one_look_shows_it_two_confirm_it() -> None:
    first, second = assess(four(["stopped"]), 1), assess(four(["stopped"]))
    assert (first["status"], first["confirmed"], first["severity"]) == ("incident", False, "SEV-1")
    assert (second["status"], second["confirmed"]) == ("incident", True)
    assert "second look" in first["next"][0]


@pytest.mark.parametrize(("gap_s", "confirmed"), [(1.0, False), (4.9, False), (5.0, True), (60.0, True)])
def test_two_looks_need_five_seconds_between_them(gap_s: float, confirmed: bool) -> None:
    assert assess(four(["stopped"], gap_s=gap_s))["confirmed"] is confirmed


def test_first_look_is_never_healthy() -> None:
    verdict = assess(four(moving=True), 1)
    assert (verdict["status"], verdict["severity"]) == ("unknown", None)


def test_catching_up_says_nothing() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"]["catching_up"] = True

    fleet = four(moving=True)
    for host in fleet.hosts:
        host.patch = patch
    assert assess(fleet)["status"] == "healthy"


def test_one_node_behind_is_no_halt() -> None:
    fleet = four(moving=True)
    fleet.hosts[3].behind = 300
    fleet.hosts[3].vote = False
    verdict = assess(fleet)
    assert (verdict["status"], verdict["severity"]) == ("degraded", "SEV-3")
    assert row(verdict, "vh4")["state"] == "not_voting"
    assert "behind" in row(verdict, "vh4")["detail"]


def test_a_node_that_catches_up_is_no_moving_chain() -> None:
    """The only one that answers grows, but its blocks are old."""

    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"].update(height=100 + 40 * look, block_time=at(-5000 + look))

    fleet = four(["stopped", "stopped", "stopped", "stopped"])
    fleet.hosts[4].patch = patch
    verdict = assess(fleet)
    assert verdict["status"] == "unknown"
    assert "not_halted" in ids(verdict, "cannot_tell")


def test_an_idle_chain_is_no_halt_and_not_healthy() -> None:
    def patch(data: Data, look: int) -> None:
        data["config"]["data"]["create_empty_blocks"]["value"] = False

    fleet = four(step=2)
    for host in fleet.hosts:
        host.patch, host.vote = patch, False
    verdict = assess(fleet)
    assert verdict["status"] == "unknown"
    assert "without transactions" in verdict["summary"]
    fleet.step = 4
    for host in fleet.hosts:
        host.vote = None
    assert assess(fleet)["status"] == "incident"


def test_a_wrong_clock_is_noted_and_not_used() -> None:
    def patch(data: Data, look: int) -> None:
        data["clock"]["now"] = at(200 + 6 * (look - 1) - 3600)

    fleet = four(["stopped"])
    fleet.hosts[1].patch = patch
    verdict = assess(fleet)
    assert verdict["status"] == "incident"
    assert any("clock of vh2" in note for note in verdict["notes"])


# -- other chains --


def test_a_host_of_another_chain_is_set_aside() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"].update(chain_id="testnet-7", height=10**6, power=10**12, block_time=at(205))
        data["genesis"]["data"].update(chain_id="testnet-7", sha256="77" * 32)

    fleet = four(["stopped"])
    fleet.hosts[4].patch = patch
    verdict = assess(fleet)
    assert (verdict["status"], verdict["details"]["chain_id"], verdict["details"]["height"]) == (
        "incident",
        "virtengine-1",
        208,
    )
    assert any("vh5 is on chain testnet-7" in note for note in verdict["notes"])


def test_another_genesis_file_is_set_aside_and_not_healthy() -> None:
    def patch(data: Data, look: int) -> None:
        data["genesis"]["data"]["sha256"] = "77" * 32

    fleet = four(moving=True)
    fleet.hosts[4].patch = patch
    verdict = assess(fleet)
    assert verdict["status"] == "degraded"
    assert any("genesis" in note for note in verdict["notes"])
    assert read(fleet.bundle()).nodes["vh5"].chain_ok is False


# -- degraded and healthy --


@pytest.mark.parametrize("doing", ["stopped", "crash_loop", "frozen", "dead_consensus", "unreachable", "busy", "mute"])
def test_a_moving_chain_without_one_of_ours_is_degraded(doing: str) -> None:
    verdict = assess(four(["voting", "voting", "voting", doing], moving=True))
    assert verdict["status"] == ("degraded")
    assert verdict["severity"] == "SEV-3"
    assert "not_halted" in held(verdict)
    assert {cause["severity"] for cause in verdict["causes"]} <= {"SEV-3", None}


def test_a_sentry_that_is_down_is_degraded() -> None:
    assert assess(four(["voting"] * 4 + ["stopped"], moving=True))["status"] == "degraded"


def test_blind_is_not_healthy() -> None:
    fleet = four(["voting", "voting", "voting", "blind"], moving=True)
    assert assess(fleet)["status"] == "unknown"


def test_a_jailed_validator_of_ours_is_degraded() -> None:
    fleet = four(moving=True)
    fleet.hosts[3].power = 0
    bundle = fleet.bundle()
    bundle["inventory"]["vh4"]["declared"] = {ADDRESS: address("vh4")}
    verdict = _halt_verdict.assess(bundle)
    assert verdict["status"] == "degraded"
    assert "jailed" in verdict["summary"]


def test_power_of_others_may_be_missing_on_a_healthy_chain() -> None:
    verdict = assess(four(others=[Other("other", 10, vote=False, signs=False)], moving=True))
    assert verdict["status"] == "healthy"
    assert row(verdict, "other")["state"] == "not_voting"
    assert verdict["details"]["power"]["absent"] == 10


@pytest.mark.parametrize("liars", [1, 2])
def test_one_rpc_that_claims_new_blocks_makes_no_halted_chain_healthy(liars: int) -> None:
    """It has a fresh time, a new hash, and commits in which everybody signed."""

    def lie(data: Data, look: int) -> None:
        for part in ("status", "commits"):
            shown = data["rpc"][part]["data"]
            for block in [shown] if part == "status" else shown["commits"]:
                block["height"] += look
        data["rpc"]["status"]["data"].update(block_time=data["clock"]["now"], block_hash="AB" * 32)
        data["rpc"]["commits"]["data"]["commits"][0].update(
            time=data["clock"]["now"],
            signed=[[address(name), data["clock"]["now"]] for name in ("vh1", "vh2", "vh3", "vh4")],
        )

    fleet = four(["stopped"])
    for host in fleet.hosts[1 : 1 + liars]:
        host.patch = lie
    verdict = assess(fleet)
    if liars == 1:
        assert verdict["status"] in ("unknown", "incident")
    assert verdict["status"] != "healthy"


def test_a_reference_that_moves_means_that_we_are_left_behind() -> None:
    """Ours stand still and old; an RPC outside shows blocks that come, signed by a quorum of the set."""
    fleet = four(others=[Other("other", 900)], references={"https://rpc.example": {}})
    bundle = fleet.bundle()
    signers = [[address(name), at(200)] for name in ("other",)]
    for entry in bundle["observations"]:
        if entry["source"] == "cometbft_info":
            height = 500 + 5 * entry["look"]
            seen = at(200 + 6 * (entry["look"] - 1) - 1)
            entry["data"]["status"]["data"].update(height=height, block_time=seen, block_hash="EE" * 32)
            entry["data"]["consensus"]["data"].update(height=height + 1, rounds=[])
            entry["data"]["commits"] = ok(
                {
                    "commits": [
                        {
                            "height": height,
                            "round": 0,
                            "block_hash": "EE" * 32,
                            "time": seen,
                            "signed": signers,
                            "nil": [],
                            "absent": [],
                        }
                    ]
                }
            )
    verdict = _halt_verdict.assess(bundle)
    assert verdict["status"] == "unknown", "one word from outside is no proof"
    assert verdict["details"]["height"] == 510
    assert row(verdict, "vh1")["state"] == "unknown"
