# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps about databases: guards before each, sessions that come and go, recovery, hostile evidence, large servers."""

from __future__ import annotations

import copy
import json
import time
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import backends
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections import plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections.incident import (
    DATABASE_CONNECTIONS,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections.reading import (
    PROTECTED_APPLICATIONS,
    read,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Misuse
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as plans
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import screen
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.database_connections.build import (
    Data,
    at,
    bundle,
    evidence,
    failed,
    session,
    twice,
    waiter,
)
from tests.unit.plugin_utils._incidents.database_connections.cases import (
    CASES,
    FULL_POOL,
    IDLE,
    READERS,
    REPORT,
    paused,
)
from tests.unit.plugin_utils._incidents.database_connections.test_causes import planned

BLOCKED = evidence([REPORT, *READERS], {row["pid"]: [10] for row in READERS})
RESTARTED = {"started_at": at(30)}


def checked(made: Data, then: Data) -> Data:
    """The check before the first step of the plan that ``made`` leads to, by a look at ``then``."""
    _judged, draft = planned(twice(made))
    return DATABASE_CONNECTIONS.check_step(bundle(then), draft, draft["steps"][0])


GUARDS: dict[str, tuple[Data, Data, str]] = {
    "nothing changed": (BLOCKED, BLOCKED, "ok"),
    "the session is gone": (BLOCKED, evidence([*READERS]), "done"),
    "its number is another session's": (
        BLOCKED,
        evidence([{**REPORT, "started_at": at(1)}, *READERS], {row["pid"]: [10] for row in READERS}),
        "done",
    ),
    "it works again": (
        BLOCKED,
        evidence([{**REPORT, "state": "active", "query_at": at(0)}, *READERS], {row["pid"]: [10] for row in READERS}),
        "done",
    ),
    "nobody waits any more": (BLOCKED, evidence([REPORT]), "done"),
    "the server restarted": (
        BLOCKED,
        evidence([REPORT, *READERS], {row["pid"]: [10] for row in READERS}, identity=RESTARTED),
        "refused",
    ),
    "it became a superuser's": (
        BLOCKED,
        evidence([{**REPORT, "privileged": True}, *READERS], {row["pid"]: [10] for row in READERS}),
        "refused",
    ),
    "the server is silent": (BLOCKED, evidence(server=failed("late", "late")), "wait"),
    "three that were not named went": (evidence(IDLE), evidence(IDLE[:37]), "ok"),
    "half of a leak went, fewer need to be ended": (
        evidence(IDLE),
        evidence([*IDLE[-12:], *(session(p) for p in range(1, 19))]),
        "refused",
    ),
    "a leak is over": (evidence(IDLE), evidence(IDLE[:20]), "done"),
    "somebody resumed": (evidence(pooler=paused(8)), evidence([session(1)]), "done"),
    "still paused": (evidence(pooler=paused(8)), evidence(pooler=paused(9)), "ok"),
    "the pool may still grow": (
        evidence([session(1)], pools=[FULL_POOL]),
        evidence([session(1)], pools=[FULL_POOL]),
        "ok",
    ),
    "the server filled up": (
        evidence([session(1)], pools=[FULL_POOL]),
        evidence(IDLE[:30], pools=[FULL_POOL]),
        "refused",
    ),
}


@pytest.mark.parametrize("name", GUARDS)
def test_a_step_is_checked_by_a_fresh_look(name: str) -> None:
    made, then, wanted = GUARDS[name]
    answer = checked(made, then)
    outcome = "done" if not answer["needed"] else "ok" if answer["ok"] else "wait" if answer["wait"] else "refused"
    assert outcome == wanted, answer["because"]


def test_sessions_that_come_and_go_do_not_void_an_approval() -> None:
    """Each of the leaked sessions is named, and three of them have gone when the digest is given back."""
    verdict, draft = planned(twice(evidence(IDLE)))
    then = plans.finish(DATABASE_CONNECTIONS, verdict, draft, at(0))
    fresh_verdict, fresh_draft = planned(twice(evidence([*IDLE[:-3], *(session(pid) for pid in range(1, 4))])))
    fresh = plans.finish(DATABASE_CONNECTIONS, fresh_verdict, fresh_draft, at(-60))
    assert fresh["digest"] != then["digest"]
    assert plans.still_valid(DATABASE_CONNECTIONS, then, fresh, fresh_verdict, at(-60))
    other = evidence([{**row, "application": "other", "pid": row["pid"] + 500} for row in IDLE])
    verdict, draft = planned(twice(other))
    assert not plans.still_valid(
        DATABASE_CONNECTIONS, then, plans.finish(DATABASE_CONNECTIONS, verdict, draft, at(-60)), verdict, at(-60)
    )
    restarted = planned(twice(evidence(IDLE, identity={"started_at": at(5000)})))
    fresh = plans.finish(DATABASE_CONNECTIONS, *restarted, at(-60))
    assert not plans.still_valid(DATABASE_CONNECTIONS, then, fresh, restarted[0], at(-60))


def test_recovery_needs_two_looks_without_anybody_who_waits() -> None:
    verdict, draft = planned(twice(BLOCKED))
    calm = evidence([session(1)])

    def over(*looks: Data) -> bool:
        return bool(DATABASE_CONNECTIONS.recovered(bundle(*looks), draft, verdict)["recovered"])

    assert over(calm, calm)
    assert not over(BLOCKED, calm)
    assert not over(calm, BLOCKED)
    assert not over(calm)
    assert not over(calm, evidence(server=failed("late", "late")))


def test_a_password_is_refused_and_a_login_is_kept_nowhere() -> None:
    for given_ in ({"login_password": "x"}, {"connect_params": {"password": "x"}}):
        with pytest.raises(Misuse, match="holds a password"):
            DATABASE_CONNECTIONS.declared("db1", {"database_connections_login": given_})
    kept = DATABASE_CONNECTIONS.declared("db1", {"database_connections_login": {"login_user": "monitor"}})
    assert kept == {}
    with pytest.raises(Misuse, match="no list of names"):
        DATABASE_CONNECTIONS.settings({"database_connections_protected_roles": "app"})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["idle", "active", at(90)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def damaged(data: Data, where: list[int], value: t.Any) -> Data:
    """The evidence with another value at a place that a walk of choices leads to."""
    made = copy.deepcopy(data)
    node: t.Any = made
    for choice in where:
        keys = sorted(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        if not keys:
            break
        key = list(keys)[choice % len(keys)]
        if not isinstance(node[key], (dict, list)) or not node[key] or choice == where[-1]:
            node[key] = value
            break
        node = node[key]
    return made


@given(st.sampled_from(sorted(CASES)), st.lists(st.integers(0, 50), min_size=1, max_size=8), VALUES)
def test_no_value_anywhere_makes_it_raise_or_end_what_is_protected(name: str, where: list[int], value: t.Any) -> None:
    made = twice(damaged(CASES[name][0], where, value))
    judged, draft = planned(made)
    json.dumps(judged)
    reading = read(made)
    clients = {s.pid: s for database in reading.databases for s in database.clients}
    for step in draft["steps"]:
        for backend in step["parameters"].get("backends", []):
            assert backend["pid"] in clients and not reading.protected(clients[backend["pid"]])
        DATABASE_CONNECTIONS.check_step(made, draft, step)
    DATABASE_CONNECTIONS.recovered(made, draft, judged)
    finished = plans.finish(DATABASE_CONNECTIONS, judged, draft, at(0))
    assert all(line.isprintable() for line in screen.first_answer(judged))
    assert finished["digest"].startswith("database_connections-")


@given(
    st.sampled_from(sorted(CASES)), st.sets(st.sampled_from(["server", "pooler", "units", "disk", "log", "processes"]))
)
def test_less_evidence_is_never_calmer(name: str, lost: set[str]) -> None:
    data = CASES[name][0]
    less = {part: failed("late", "late") if part in lost else value for part, value in data.items()}
    before, after = (DATABASE_CONNECTIONS.assess(twice(made)) for made in (data, less))
    if before["status"] in ("incident", "unknown"):
        assert after["status"] != "healthy"
    if "server" in lost:
        assert after["status"] in ("unknown", "incident")


def test_ten_thousand_sessions_and_two_thousand_waits_take_less_than_a_second() -> None:
    sessions = [REPORT, *(waiter(pid) for pid in range(1000, 3000)), *(session(pid) for pid in range(3000, 11000))]
    waits = {pid: [10, *range(max(1000, pid - 19), pid)] for pid in range(1000, 3000)}
    made = twice(evidence(sessions, waits))
    began = time.process_time()
    judged, draft = planned(made)
    taken = time.process_time() - began
    assert [step["action"] for step in draft["steps"]] == ["terminate_backends"]
    assert "2000 sessions wait" in judged["summary"]
    assert taken < 1.0
    assert sum(len(table["rows"]) for table in judged["tables"]) <= 40


def test_the_plan_names_at_most_what_a_person_reads() -> None:
    blockers = [session(pid, state="idle in transaction", transaction=60, changed=60) for pid in range(1, 21)]
    waiters = [waiter(pid) for pid in range(101, 121)]
    draft = planned(twice(evidence([*blockers, *waiters], {pid: [pid - 100] for pid in range(101, 121)})))[1]
    assert len(draft["steps"]) == plan.MOST_ROOTS


def test_the_module_that_ends_sessions_protects_the_same_programs() -> None:
    assert backends.PROTECTED == PROTECTED_APPLICATIONS
