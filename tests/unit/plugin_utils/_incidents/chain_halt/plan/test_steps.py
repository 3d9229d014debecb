# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check just before a step, and the proof of the recovery, on fresh looks."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.recovery import recovered
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import (
    Host,
    Net,
    address,
    bundle,
    check_step,
    checked,
    finished,
    verdict,
)
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_plan import CHECK_10, make, small

RELAXED = {"config": {"double_sign_check_height": {"value": 0, "source": "env"}}}


def check(net: Net, made: dict[str, t.Any], number: int) -> dict[str, t.Any]:
    return check_step(checked(bundle(net, (2, 3))), made, made["steps"][number - 1])


def moved(net: Net, height: int = 110) -> Net:
    fresh = copy.deepcopy(net)
    fresh.height, fresh.block_hash, fresh.moving = height, "E" * 64, True
    return fresh


def test_an_unchanged_world_lets_the_step_go() -> None:
    net = small()
    found = check(net, make(net), 1)
    assert found["ok"] and found["needed"] and found["give"]["block_above"] == 100
    assert found["impact"] == {"label": "power seen voting", "before": 40, "after": 70, "needed": 67}
    assert {guard["state"] for guard in found["guards"]} == {"clear"} and len(found["guards"]) == 14


def test_a_block_is_waited_for_only_where_the_plan_has_quorum_by_then() -> None:
    net = small(v4=Host("stopped", 30, "e"), v5=Host("stopped", 30, "f"))
    made = make(net)
    assert [step["impact"]["after"] for step in made["steps"]] == [70, 100, 130, 150]
    assert check(net, made, 1)["give"] == check(net, made, 2)["give"] == {}
    assert check(net, made, 3)["give"]["block_above"] == 100
    stop = dict(made["steps"][0], action="stop_node", number=5, hosts=["v9"], parameters={"reconnect": True})
    again = dict(made, steps=[*made["steps"], stop])
    assert check(net, again, 3)["give"] == {}, "a node has still to reconnect its peers"
    net.hosts["v2"].doing = net.hosts["v4"].doing = "voting"
    assert check(moved(net), again, 3)["give"]["block_above"] == 110


@pytest.mark.parametrize("doing", ["voting", "not_voting"])
def test_a_node_that_runs_needs_no_start(doing: str) -> None:
    net = small()
    made = make(net)
    net.hosts["v2"].doing = doing
    found = check(net, made, 1)
    assert not found["needed"] and not found["ok"]


def test_a_frozen_one_is_no_longer_the_stopped_one() -> None:
    net = small()
    made = make(net)
    net.hosts["v2"].doing = "frozen"
    found = check(net, made, 1)
    assert found["needed"] and not found["ok"] and "frozen" in found["because"]


def test_a_host_that_went_away_stops_the_step_and_may_come_back() -> None:
    net = small()
    made = make(net)
    net.hosts["v2"].doing = "unreachable"
    found = check(net, made, 1)
    assert found["needed"] and found["wait"] and not found["ok"]


def test_another_undeclared_host_that_went_away_leaves_the_key_open() -> None:
    net = small()
    made = make(net)
    net.hosts["v3"].doing = "unreachable"
    assert not check(net, made, 1)["ok"]
    net.hosts["v3"].declared = "c"
    assert check(net, made, 1)["ok"]


def test_a_host_that_went_away_counts_as_lost() -> None:
    net = small()
    made = make(net)
    net.hosts["v1"].declared = "a"
    assert check(net, made, 1)["impact"]["before"] == 40
    net.hosts["v5"] = Host("voting", 5, "f")
    net.hosts["v1"].doing = "unreachable"
    assert check(net, made, 1)["impact"]["before"] == 5


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"chain": "other-1"}, "other-1"),
        ({"height": 99}, "99"),
        ({"block_hash": "E" * 64}, "E" * 64),
    ],
)
def test_a_changed_world_stops_the_step(change: dict[str, t.Any], word: str) -> None:
    net = small()
    made = make(net)
    for name, value in change.items():
        setattr(net, name, value)
    for host in net.hosts.values():
        host.raw = {"genesis": {"chain_id": net.chain}}
    found = check(net, made, 1)
    assert not found["ok"] and word in found["because"]


def test_two_blocks_at_one_height_stop_every_step() -> None:
    net = small(v4=Host("voting", 5, "e"))
    made = make(net)
    fresh = bundle(net, (2, 3))
    for entry in fresh["observations"]:
        if entry["host"] == "v4":
            entry["data"]["rpc"]["status"]["data"]["block_hash"] = "F" * 64
    found = check_step(checked(fresh), made, made["steps"][0])
    assert not found["ok"] and "two different blocks" in found["because"]


def test_nobody_answers_any_more() -> None:
    net = small()
    made = make(net)
    net.hosts["v1"].doing = "stopped"
    assert not check(net, made, 1)["ok"]


def test_a_vote_that_came_in_the_meantime_stops_the_step() -> None:
    net = small()
    made = make(net)
    fresh = checked(bundle(net, (2, 3)))
    for entry in fresh["observations"]:
        if entry["host"] == "v1":
            commits = entry["data"]["rpc"]["commits"]["data"]["commits"]
            commits[0]["signed"].append([address("b"), "2026-01-30T12:05:00Z"])
    found = check_step(fresh, made, made["steps"][0])
    assert not found["ok"] and "Another machine" in found["because"]


def test_a_key_that_was_exchanged_stops_the_step() -> None:
    net = small()
    made = make(net)
    net.hosts["v2"].key = "g"
    assert "no longer holds" in check(net, made, 1)["because"]


def test_a_host_that_left_the_target_is_not_acted_on() -> None:
    net = small()
    made = make(net)
    net.hosts["v2"].target = False
    assert not check(net, made, 1)["ok"]


def test_break_glass_passes_what_is_open_and_not_what_is_refused() -> None:
    net = small(v4=Host("unreachable"))
    made = make(net, "v4 is switched off")
    assert check(net, made, 1)["ok"]
    net.hosts["v2"].raw = {"unit": {"unit_file_state": "masked"}}
    assert not check(net, made, 1)["ok"]


def test_relaxing_start_and_restoring() -> None:
    net = small()
    net.hosts["v2"].raw = CHECK_10
    made = make(net)
    relax, start, restore = 1, 2, 4
    assert check(net, made, relax)["ok"]
    assert "crash loop" in check(net, made, start)["because"]
    net.hosts["v2"].raw = RELAXED
    assert not check(net, made, relax)["needed"]
    assert check(net, made, start)["ok"]
    net.hosts["v2"].doing = "voting"
    assert check(net, made, restore)["ok"]
    net.hosts["v2"].raw = CHECK_10
    assert not check(net, made, restore)["needed"]


def test_thaw() -> None:
    net = small(v4=Host("frozen", 35, "e"))
    made = make(net)
    assert check(net, made, 1)["ok"]
    net.hosts["v4"].doing = "voting"
    assert not check(net, made, 1)["needed"]
    net.hosts["v4"].doing = "stopped"
    assert check(net, made, 1)["needed"] and not check(net, made, 1)["ok"]


def test_once_the_chain_moves_one_joins_at_a_time() -> None:
    net = small()
    made = make(net)
    net.hosts["v2"].doing = "not_voting"
    net.theirs["d"] = (40, True)
    waiting = check(moved(net), made, 2)
    assert waiting["wait"] and not waiting["ok"] and "v2" in waiting["because"]
    net.hosts["v2"].doing = "voting"
    going = check(moved(net), made, 2)
    assert going["ok"] and going["give"]["block_above"] == 110


def test_a_chain_that_somebody_else_mended_ends_the_plan() -> None:
    net = small()
    made = make(net)
    net.theirs["d"] = (60, True)
    found = check(moved(net), made, 1)
    assert not found["ok"] and not found["wait"] and "Diagnose again" in found["because"]


def test_a_fork_under_the_plan_is_no_moving_on() -> None:
    net = small()
    made = make(net)
    net.hosts["v2"].doing = "voting"
    fresh = moved(net, 102)
    found = check(fresh, made, 2)
    assert not found["ok"] and "Block 100 is now" in found["because"]


def running() -> tuple[Net, dict[str, t.Any], dict[str, t.Any]]:
    net = small()
    made, before = make(net), verdict(net)
    net.hosts["v2"].doing = net.hosts["v3"].doing = "voting"
    return moved(net), made, before


def test_recovered_when_blocks_come_and_all_sign() -> None:
    net, made, before = running()
    found = recovered(checked(bundle(net)), made, before)
    assert found["recovered"] and found["blocks"] == 10
    assert {row["host"]: row["acted"] for row in found["validators"] if row["host"]} == {
        "v1": False,
        "v2": True,
        "v3": True,
    }
    assert "D" * 12 in found["because"]


@pytest.mark.parametrize(("signed", "good"), [(5, True), (3, True), (2, False), (0, False)])
def test_three_of_five(signed: int, good: bool) -> None:
    net, made, before = running()
    net.signed["c"] = signed
    found = recovered(checked(bundle(net)), made, before)
    assert found["recovered"] is good
    assert good or f"v3 ({signed} of 5)" in found["because"]


def test_commits_before_the_halt_do_not_count() -> None:
    net, made, before = running()
    net.height = 102
    found = recovered(checked(bundle(net)), made, before)
    assert not found["recovered"] and found["blocks"] == 2
    assert {row["of"] for row in found["validators"]} == {2}


def test_votes_from_before_the_start_are_of_another_process() -> None:
    net, made, before = running()
    net.hosts["v3"].raw = {"unit": {"started_at": "2026-01-30T12:30:00Z"}}
    found = recovered(checked(bundle(net)), made, before)
    assert not found["recovered"] and "v3" in found["because"]


def test_no_block_is_no_recovery() -> None:
    net = small()
    found = recovered(checked(bundle(net)), make(net), verdict(net))
    assert not found["recovered"] and "No new block" in found["because"]


def test_a_chain_that_stands_again_is_no_recovery() -> None:
    net, made, before = running()
    net.moving = False
    found = recovered(checked(bundle(net)), made, before)
    assert not found["recovered"] and "stands again" in found["because"]


def test_another_chain_or_silence_is_no_recovery() -> None:
    net, made, before = running()
    for host in net.hosts.values():
        host.doing = "unreachable"
    assert not recovered(checked(bundle(net)), made, before)["recovered"]
    net, made, before = running()
    net.chain = "other-1"
    for host in net.hosts.values():
        host.raw = {"genesis": {"chain_id": "other-1"}}
    assert "other-1" in recovered(checked(bundle(net)), made, before)["because"]


def test_a_validator_that_left_the_set_is_not_forgotten() -> None:
    net, made, before = running()
    net.hosts["v3"].power = 0
    found = recovered(checked(bundle(net)), made, before)
    assert not found["recovered"] and "no longer in the validator set" in found["because"]


@pytest.mark.parametrize(
    ("status", "height", "moved_on"),
    [
        ("healthy", 101, True),
        ("degraded", 101, True),
        ("healthy", 100, False),
        ("healthy", None, False),
        ("incident", 101, False),
        ("unknown", 101, False),
    ],
)
def test_when_the_chain_moved_on_from_the_plans_height(status: str, height: int | None, moved_on: bool) -> None:
    made = make(small())
    assert CHAIN_HALT.moved_on(made, {"status": status, "details": {"height": height}}) is moved_on


RUBBISH = st.recursive(
    st.none() | st.integers() | st.text(max_size=3), lambda i: st.lists(i) | st.dictionaries(st.text(), i)
)


@given(rubbish=RUBBISH, part=st.sampled_from(["commits", "consensus", "status", "validators"]))
def test_hostile_answers_never_raise(rubbish: t.Any, part: str) -> None:
    net, made, before = running()
    fresh = bundle(net)
    for entry in fresh["observations"]:
        entry["data"]["rpc"][part] = r.ok(rubbish)
    fresh = checked(fresh)
    recovered(fresh, made, before)
    for step in made["steps"]:
        check_step(fresh, made, step)
    finished(fresh, verdict(net), "reason")


def test_a_clone_that_came_up_after_the_approval_holds_back_every_step() -> None:
    """Also where it is a clone of another validator than the step's: whose key signs twice is for a person to end."""
    net = small()
    made = make(net)
    assert check(net, made, 1)["ok"]
    cloned = copy.deepcopy(net)
    cloned.hosts["v4"] = Host("not_voting", 0, "a")
    found = check(cloned, made, 1)
    assert not found["ok"] and found["needed"] and found["because"].startswith("The automation stops.")
