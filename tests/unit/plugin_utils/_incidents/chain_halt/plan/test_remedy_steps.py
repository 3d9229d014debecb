# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a remedy, one by one: asked for, done once, believed by the evidence, and taken up after a kill."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.recovery import recovered
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.blocked import (
    LOST,
    act,
    check,
    evidence,
    full,
    full_net,
    halt_net,
    halted,
    halting,
    judged,
    lost,
    make,
    wal,
    wal_net,
)
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import Host, Net
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_plan import CHECK_10, held, steps
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_steps import moved


def test_the_check_is_relaxed_between_the_change_and_the_start() -> None:
    net = halt_net()
    net.hosts["v2"].raw["config"] = {**halting(), **CHECK_10["config"]}
    made = make(net)
    assert [action for action, host in steps(made) if host == "v2"] == [
        "stop_node",
        "clear_halt_height",
        "relax_double_sign_check",
        "start_node",
        "restore_double_sign_check",
    ]
    walk(net, made)


def walk(net: Net, made: dict[str, Any]) -> Net:
    """Every step is asked for, and once done not asked for again."""
    for step in made["steps"]:
        found = check(net, made, step)
        assert found["ok"] and found["needed"], (step["action"], step["hosts"][0], found["because"])
        assert {guard["state"] for guard in found["guards"]} <= {"clear"}
        net = act(net, step)
        assert step["action"].startswith("restore") or not check(net, made, step)["needed"], step["action"]
    return net


FLEETS = {
    "halt height": halt_net(s1=halted(0, None)),
    "log": wal_net(),
    "disk": full_net(),
    "all": Net(
        {
            "v1": Host("voting", 30, "a"),
            "v2": halted(30, "b"),
            "v3": lost(25, "c"),
            "v4": Host("stopped", 9, "d"),
            "v5": full(6, "e"),
        }
    ),
}


@pytest.mark.parametrize("net", FLEETS.values(), ids=FLEETS)
def test_the_walk_ends_in_a_proven_recovery(net: Net) -> None:
    made = make(net)
    after = net
    for step in made["steps"]:
        found = check(after, made, step)
        assert found["ok"] or not found["needed"], (step["action"], step["hosts"][0], found["because"])
        after = act(after, step) if found["needed"] else after
    end = evidence(moved(after, after.height + 10))
    found = recovered(end, made, judged(net))
    assert found["recovered"], found["because"]
    assert make(after, status="healthy")["steps"] == []


@pytest.mark.parametrize("net", FLEETS.values(), ids=FLEETS)
@pytest.mark.parametrize("done", range(10))
def test_a_run_killed_after_any_step_resumes_and_finishes(net: Net, done: int) -> None:
    made = make(net)
    after = net
    for step in made["steps"][:done]:
        after = act(after, step)
    status = "degraded" if after.moving else "incident"
    now = {**judged(after), "status": status}
    fresh = make(after, status=status)
    left = plan.remaining(CHAIN_HALT, made, fresh, now, "2026-11-30T10:00:00Z")
    assert left == made, plan.difference(made, fresh)
    for step in left["steps"]:
        found = check(after, made, step)
        assert found["ok"] or not found["needed"], (step["action"], step["hosts"][0], found["because"])
        after = act(after, step) if found["needed"] else after
    assert {host.doing for host in after.hosts.values()} <= {"voting", "sentry"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"disk": {"free_bytes": 5}}, "is full"),
        ({"unit": {"unit_file_state": "masked"}}, "is masked"),
        ({"config": halting(100, 2000000000)}, "still ahead"),
        ({"config": halting(100, 1769774380)}, "was set since"),
        ({"config": halting(100, 0, "env")}, "by a variable"),
    ],
)
def test_a_node_is_not_stopped_where_a_step_after_it_is_refused_by_now(change: dict[str, Any], word: str) -> None:
    net = halt_net()
    made = make(net)
    net.hosts["v2"].raw.update(copy.deepcopy(change))
    found = check(net, made, made["steps"][0])
    assert found["needed"] and not found["ok"] and word in found["because"]


@pytest.mark.parametrize("net", FLEETS.values(), ids=FLEETS)
def test_a_host_that_does_not_answer_gets_no_step(net: Net) -> None:
    made = make(net)
    for step in made["steps"]:
        silent = copy.deepcopy(net)
        silent.hosts[step["hosts"][0]].doing = "unreachable"
        found = check(silent, made, step)
        assert found["needed"] and found["wait"] and not found["ok"] and found["guards"] == []


def test_a_log_that_fits_no_more_keeps_its_node_running() -> None:
    net = wal_net()
    made = make(net)
    net.hosts["v2"].raw["wal"] = wal(0)
    found = check(net, made, made["steps"][0])
    assert not found["ok"] and "No copy" in found["because"]


def test_a_halt_time_that_comes_after_the_approval_is_not_cleared() -> None:
    net = halt_net()
    made = make(net)
    net = act(net, made["steps"][0])
    net.hosts["v2"].raw["config"] = halting(100, 2000000000)
    found = check(net, made, made["steps"][1])
    assert found["needed"] and not found["ok"] and "still ahead" in found["because"]
    old = {**made["steps"][1], "parameters": {"address": "B" * 40}}
    net.hosts["v2"].raw["config"] = halting()
    assert check(net, made, made["steps"][1])["ok"] and not check(net, made, old)["ok"]


def test_the_start_goes_on_once_the_only_copy_is_in_an_empty_place() -> None:
    net = wal_net()
    made = make(net)
    net = act(net, made["steps"][0])
    net.hosts["v2"].raw["wal"] = wal(r.HEIGHT)
    assert not check(net, made, made["steps"][1])["needed"]
    assert check(net, made, made["steps"][2])["ok"]


def test_a_resumed_run_needs_the_statement_again() -> None:
    net = halt_net()
    made = make(net)
    for step in made["steps"][:2]:
        net = act(net, step)
    assert steps(make(net))[0] == ("start_node", "v2")
    silent = make(net, None)
    assert silent["steps"] == [] and "coordinated halt" in held(silent)["v2"]["why"]
    assert plan.remaining(CHAIN_HALT, made, silent, judged(net), "2026-11-30T10:00:00Z") is None
    assert not check(net, made, made["steps"][2], None)["ok"]


def test_the_start_believes_the_evidence_and_not_the_plan() -> None:
    for begun, undone in ((halt_net(), {"config": halting()}), (wal_net(), {"wal": wal(0, ("cs.wal.bak", 100))})):
        net, made = begun, make(begun)
        for step in made["steps"][:2]:
            net = act(net, step)
        assert check(net, made, made["steps"][2])["ok"]
        net.hosts["v2"].raw.update(undone)
        refused = check(net, made, made["steps"][2])
        assert refused["needed"] and not refused["ok"] and "states a reason" in refused["because"]


def test_files_are_changed_only_while_the_node_is_down() -> None:
    for net in (halt_net(), wal_net()):
        made = make(net)
        found = check(net, made, made["steps"][1])
        assert found["needed"] and not found["ok"] and "while it is down" in found["because"]


def test_what_votes_again_or_runs_without_the_reason_is_passed_over() -> None:
    for net in (halt_net(), wal_net()):
        made = make(net)
        voting, mended, busy = (copy.deepcopy(net) for _time in range(3))
        voting.hosts["v2"].doing = "voting"
        voting.hosts["v2"].raw["journal"]["marks"] = [r.mark("wal_missing", LOST)]
        mended.hosts["v2"].raw["journal"] = {"marks": []}
        for step in made["steps"][:3]:
            assert not check(voting, made, step)["needed"] and not check(mended, made, step)["needed"]
        busy.hosts["v2"].doing = "frozen"
        assert check(busy, made, made["steps"][0])["needed"] and not check(busy, made, made["steps"][0])["ok"]


def test_on_a_chain_that_somebody_else_mended_nothing_is_stopped() -> None:
    for net in (halt_net(), wal_net()):
        made = make(net)
        net.theirs["d"] = (300, True)
        found = check(moved(net), made, made["steps"][0])
        assert not found["ok"]


def test_a_lost_log_heals_by_itself_once_the_chain_moves() -> None:
    net = wal_net()
    made = make(net)
    for step in made["steps"][:3]:
        net = act(net, step)
    assert net.moving
    assert not check(net, made, made["steps"][3])["needed"] and not check(net, made, made["steps"][4])["needed"]


def test_a_halted_one_is_still_cleared_once_the_chain_moves() -> None:
    net = halt_net()
    made = make(net)
    for step in made["steps"][:3]:
        net = act(net, step)
    assert net.moving
    stop = check(net, made, made["steps"][3])
    assert stop["ok"]
    net.hosts["v2"].doing = "not_voting"
    waiting = check(net, made, made["steps"][3])
    assert not waiting["ok"] and waiting["wait"], waiting["because"]
