# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the causes of exhausted or blocked connections make of evidence, and what is planned for each."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections import verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections.incident import (
    DATABASE_CONNECTIONS,
)

from tests.unit.plugin_utils._incidents.database_connections.build import (
    Data,
    at,
    bundle,
    evidence,
    ok,
    pool,
    session,
    twice,
)
from tests.unit.plugin_utils._incidents.database_connections.cases import CASES, REPORT, mark


def planned(made: Data) -> tuple[Data, Data]:
    judged = DATABASE_CONNECTIONS.assess(made)
    return judged, DATABASE_CONNECTIONS.plan(made, judged, None)


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_and_the_plan(name: str) -> None:
    data, status, roots, actions, withheld = CASES[name]
    judged, draft = planned(twice(data))
    assert judged["status"] == status, judged["summary"]
    assert {cause["id"] for cause in judged["causes"] if cause["role"] == "root"} == roots
    assert [step["action"] for step in draft["steps"]] == actions
    assert [entry["action"] for entry in draft["withheld"]] == withheld
    assert bool(draft["decision"]) == (status == "incident" and not actions)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] == "incident"])
def test_one_look_plans_nothing(name: str) -> None:
    judged, draft = planned(bundle(CASES[name][0]))
    assert judged["status"] == "incident" and not judged["confirmed"]
    assert draft["steps"] == [] and "second look" in draft["decision"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] == "incident"])
def test_what_began_between_the_looks_is_not_confirmed(name: str) -> None:
    judged, draft = planned(bundle(evidence([session(1)]), CASES[name][0]))
    assert judged["status"] == "incident" and not judged["confirmed"] and draft["steps"] == []


def test_a_host_that_is_no_target_gets_no_step() -> None:
    data = CASES["idle in transaction"][0]
    assert planned(twice(data, target=False))[1]["steps"] == []


def test_a_host_that_was_not_reached_is_never_healthy() -> None:
    judged, draft = planned(twice(None))
    assert judged["status"] == "unknown" and draft["steps"] == []
    assert "no route to host" in judged["summary"]


def test_names_of_the_team_are_protected() -> None:
    data = CASES["idle in transaction"][0]
    for settings in (
        {"database_connections_protected_applications": ["rep"]},
        {"database_connections_protected_roles": ["app"]},
    ):
        draft = planned(twice(data, **settings))[1]
        assert draft["steps"] == [] and "is protected" in draft["withheld"][0]["why"]


def test_a_leak_is_ended_only_as_far_as_applications_need() -> None:
    (step,) = planned(twice(CASES["leak"][0]))[1]["steps"]
    pids = [backend["pid"] for backend in step["parameters"]["backends"]]
    # 37 in use, 70 % of 37 is 25: twelve of them, those that have idled for longest.
    assert pids == list(range(136, 124, -1))
    assert step["impact"] == {"label": "free connections", "before": 0, "after": 12, "needed": 4}


def test_every_cause_is_made_by_a_case() -> None:
    made = {cause["id"] for case in CASES.values() for cause in DATABASE_CONNECTIONS.assess(twice(case[0]))["causes"]}
    unmade = {cause.id for cause in verdict.CAUSES} - made
    assert unmade == {"open_transactions", "pool_arithmetic", "cancel_flood", "backend_killed"}


SMALL: dict[str, tuple[Data, str]] = {
    "open_transactions": (evidence([{**REPORT, "transaction_at": at(900)}]), "degraded"),
    "pool_arithmetic": (evidence(pools=[pool(user=str(number)) for number in range(5)]), "healthy"),
    "cancel_flood": (evidence(pools=[pool(cl_waiting_cancel_req=40, sv_active=1)]), "degraded"),
    "pooler_login": (evidence(pools=[pool(cl_waiting=5, maxwait=9, sv_login=1, sv_active=0, sv_idle=0)]), "incident"),
    "backend_killed": (evidence(log=ok(mark("killed"))), "healthy"),
}


@pytest.mark.parametrize("name", SMALL)
def test_the_other_causes(name: str) -> None:
    data, status = SMALL[name]
    judged = DATABASE_CONNECTIONS.assess(twice(data))
    assert name in {cause["id"] for cause in judged["causes"]} and judged["status"] == status


@pytest.mark.parametrize("cause", verdict.CAUSES, ids=lambda cause: str(cause.id))
def test_every_cause_says_what_a_person_does(cause: t.Any) -> None:
    assert cause.next and cause.signs and cause.by_hand and len(cause.title) <= 40
