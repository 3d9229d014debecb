# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole walk with the real verdict: diagnosed, planned, each step checked, killed anywhere, resumed, recovered."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import (
    CHAIN_HALT as HALT,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import Host, Net, bundle, checked, finished
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_plan import CHECK_10, nets
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_steps import RELAXED, moved
from tests.unit.plugin_utils._incidents.chain_halt.verdict import builders as b

OWN_SIGNATURE = "panic: Failed to start consensus state: found signature from the same key"


def diagnose(net: Net, looks: tuple[int, ...] = (1, 2)) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    evidence = checked(bundle(net, looks))
    return evidence, HALT.assess(evidence)


def fleet() -> Net:
    loop = {**CHECK_10, "journal": {"marks": [r.mark("double_sign_check", OWN_SIGNATURE), r.mark("exited")]}}
    return Net(
        {
            "v1": Host("voting", 35, "a"),
            "v2": Host("stopped", 25, "b", raw=CHECK_10),
            "v3": Host("frozen", 20, "c"),
            "v4": Host("crashed", 15, "d", raw=loop),
            "v5": Host("stopped", 5, "e"),
            "s1": Host("stopped", 0, "f"),
        }
    )


def act(net: Net, step: dict[str, t.Any]) -> Net:
    """The world after a step: what the acting modules and the chain make of it."""
    net = copy.deepcopy(net)
    host = net.hosts[step["hosts"][0]]
    if step["action"] == "relax_double_sign_check":
        host.raw = {**host.raw, **RELAXED}
    elif step["action"] == "restore_double_sign_check":
        host.raw = {**host.raw, **CHECK_10}
    else:
        host.doing = "voting" if host.power else "sentry"
        host.raw = {key: value for key, value in host.raw.items() if key != "journal"}
    voting = sum(power for letter, power in net.powers().items() if letter in net.voters())
    return moved(net, net.height + 10) if 3 * voting > 2 * sum(net.powers().values()) else net


def test_the_plan_of_the_fleet() -> None:
    evidence, verdict = diagnose(fleet())
    assert verdict["status"] == "incident" and verdict["confirmed"]
    made = finished(evidence, verdict)
    assert [(step["action"].split("_")[0], step["hosts"][0]) for step in made["steps"]] == [
        ("start", "s1"),
        ("relax", "v2"),
        ("start", "v2"),
        ("thaw", "v3"),
        ("relax", "v4"),
        ("start", "v4"),
        ("start", "v5"),
        ("restore", "v2"),
        ("restore", "v4"),
    ]
    assert made["steps"][-1]["impact"]["after"] == 100


def test_the_walk_ends_in_a_proven_recovery() -> None:
    net = fleet()
    evidence, verdict = diagnose(net)
    made = finished(evidence, verdict)
    for step in made["steps"]:
        found = HALT.check_step(checked(bundle(net, (2, 3))), made, step)
        assert found["ok"] and found["needed"], (step, found["because"])
        net = act(net, step)
        again = HALT.check_step(checked(bundle(net, (2, 3))), made, step)
        assert step["action"].startswith("restore") or not again["needed"], "a step done once is needed again"
    evidence, after = diagnose(net)
    assert after["status"] == "healthy"
    found = HALT.recovered(evidence, made, verdict)
    assert found["recovered"], found["because"]
    assert finished(evidence, after, "reason")["steps"] == []


@pytest.mark.parametrize("done", range(10))
def test_a_run_killed_after_any_step_resumes_and_finishes(done: int) -> None:
    net = fleet()
    made = finished(*diagnose(net))
    for step in made["steps"][:done]:
        net = act(net, step)
    evidence, verdict = diagnose(net)
    fresh = finished(evidence, verdict, used=[made["digest"]])
    assert fresh["digest"] != made["digest"]
    left = _plan.remaining(HALT, made, fresh, verdict, "2026-11-30T10:00:00Z")
    assert left is not None, _plan.difference(made, fresh)
    for step in left["steps"]:
        found = HALT.check_step(checked(bundle(net, (2, 3))), made, step)
        assert found["ok"] or not found["needed"], (step, found["because"])
        net = act(net, step) if found["needed"] else net
    found = HALT.recovered(diagnose(moved(net, net.height + 10))[0], made, verdict)
    assert found["recovered"], found["because"]
    assert {host.doing for host in net.hosts.values()} == {"voting", "sentry"}
    assert net.hosts["v2"].raw["config"] == CHECK_10["config"]


FLEETS: list[tuple[str, b.Fleet, list[tuple[str, str]]]] = [
    ("stopped", b.four(["stopped"]), [("start_node", "vh1")]),
    ("killed", b.four(["killed"]), [("start_node", "vh1")]),
    ("frozen and stopped", b.four(["frozen", "stopped"]), [("thaw_node", "vh1"), ("start_node", "vh2")]),
    ("frozen by its cgroup", b.four(["frozen_group"]), [("thaw_node", "vh1")]),
    ("failed", b.four(["failed"]), []),
    ("crash loop", b.four(["crash_loop"]), []),
    ("unreachable", b.four(["unreachable"]), []),
    ("late", b.four(["late"]), []),
    ("busy", b.four(["busy"]), []),
    ("mute", b.four(["mute"]), []),
    ("consensus dead", b.four(["dead_consensus"]), []),
    ("nothing to see", b.four(["blind"]), []),
    ("moves without one", b.four(["voting", "voting", "voting", "stopped"], moving=True), []),
    ("healthy", b.four([], moving=True), []),
    ("all unreachable", b.four(["unreachable"] * 5), []),
]


@pytest.mark.parametrize(("what", "made", "steps"), FLEETS, ids=[case[0] for case in FLEETS])
def test_what_each_state_of_a_fleet_leads_to(what: str, made: b.Fleet, steps: list[tuple[str, str]]) -> None:
    evidence = checked(made.bundle())
    plan = finished(evidence, HALT.assess(evidence))
    assert [(step["action"], step["hosts"][0]) for step in plan["steps"]] == steps
    assert plan["steps"] or plan["decision"]


def test_one_look_plans_nothing() -> None:
    evidence = checked(b.four(["stopped"]).bundle(1))
    plan = finished(evidence, HALT.assess(evidence), "reason")
    assert plan["steps"] == [] and "second look" in plan["decision"]


@given(net=nets(), reason=st.sampled_from([None, "a reason"]))
def test_only_a_confirmed_halt_acts_and_only_on_what_is_down(net: Net, reason: str | None) -> None:
    evidence, verdict = diagnose(net)
    made = finished(evidence, verdict, reason)
    assert not made["steps"] or (verdict["status"] == "incident" and verdict["confirmed"])
    assert {net.hosts[step["hosts"][0]].doing for step in made["steps"]} <= {"stopped", "frozen", "crashed"}
    assert made["digest"] == finished(evidence, verdict, reason)["digest"]
