# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Curable nodes with the real verdict: what its causes ask for and forbid is what the plan needs, also after a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import (
    CHAIN_HALT as HALT,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.blocked import (
    REPLAY,
    act,
    evidence,
    full_net,
    halt_net,
    halted,
    halting,
    wal_net,
)
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import Host, Net, checked, finished
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_plan import steps
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_steps import moved

RECORDED = Path(__file__).resolve().parents[5] / "data/recorded"


def looping() -> Net:
    """One of two that halted was restarted, and ends at every start."""
    marks = [r.mark("halt_height", REPLAY), r.mark("handshake_failed", REPLAY), r.mark("exited")]
    host = Host("crashed", 30, "b", raw={"config": halting(), "journal": {"marks": marks}})
    return Net({**halt_net().hosts, "v2": host})


FLEETS = {
    "halt height": (halt_net(s1=halted(0, None)), 9),
    "crash loop at it": (looping(), 6),
    "log": (wal_net(), 6),
    "disk": (full_net(), 6),
}


@pytest.mark.parametrize(("net", "count"), FLEETS.values(), ids=FLEETS)
def test_the_walk_with_the_real_verdict(net: Net, count: int) -> None:
    seen = evidence(net)
    verdict = HALT.assess(seen)
    made = finished(seen, verdict)
    assert len(made["steps"]) == count and not any(step["overrides"] for step in made["steps"])
    for step in made["steps"]:
        found = HALT.check_step(evidence(net, (2, 3)), made, step)
        assert found["ok"] or not found["needed"], (step["action"], step["hosts"][0], found["because"])
        net = act(net, step) if found["needed"] else net
    seen = evidence(moved(net, net.height + 10))
    assert HALT.assess(seen)["status"] == "healthy"
    assert HALT.recovered(seen, made, verdict)["recovered"]


@pytest.mark.parametrize("done", range(10))
@pytest.mark.parametrize(("net", "count"), FLEETS.values(), ids=FLEETS)
def test_a_run_killed_after_any_step_goes_on(net: Net, count: int, done: int) -> None:
    seen = evidence(net)
    made = finished(seen, HALT.assess(seen))
    for step in made["steps"][:done]:
        net = act(net, step)
    seen = evidence(net)
    verdict = HALT.assess(seen)
    fresh = finished(seen, verdict)
    assert plan.remaining(HALT, made, fresh, verdict, "2026-11-30T10:00:00Z") == made, plan.difference(made, fresh)


def recorded(name: str) -> dict[str, Any]:
    return checked(json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")))


def over(seen: dict[str, Any], height: int) -> dict[str, Any]:
    """The same with the statement of a person about a halt height."""
    said = {"incident_halt_is_over": height, "incident_halt_is_over_reason": "call of 12:05"}
    return checked({**seen, "settings": {**seen["settings"], **said}})


def test_a_recorded_halt_height_is_cleared_only_once_it_is_called_over() -> None:
    seen = recorded("halt-height")
    made = finished(seen, HALT.assess(seen), "a reason")
    assert made["steps"] == [] and "incident_halt_is_over=142" in made["withheld"][0]["why"]
    said = over(seen, 142)
    made = finished(said, HALT.assess(said))
    assert steps(made) == [("stop_node", "vh1"), ("clear_halt_height", "vh1"), ("start_node", "vh1")]
    assert HALT.check_step(said, made, made["steps"][0])["ok"]
    other = over(seen, 141)
    assert finished(other, HALT.assess(other), "a reason")["steps"] == []


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json") if path.stem != "index"))
def test_a_statement_changes_no_other_plan_and_no_verdict(name: str) -> None:
    seen = recorded(name)
    said = over(seen, 1)
    assert HALT.assess(said) == HALT.assess(seen)
    with_it, without = (finished(one, HALT.assess(one), "a reason") for one in (said, seen))
    assert with_it["steps"] == without["steps"]
    assert not {step["action"] for step in without["steps"]} & {"clear_halt_height"}
