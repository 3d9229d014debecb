# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which plans on record, used by no run yet, may be carried out although the plan made now has other steps."""

from __future__ import annotations

import copy
import itertools
import json
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Incident, same_step
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.action import Action
from hypothesis import assume, given
from hypothesis import strategies as st

Data = dict[str, t.Any]

PRINTED, NOW, EXPIRES = "2026-01-30T12:00:30Z", "2026-01-30T12:03:00Z", "2026-01-30T12:11:00Z"
SAME = ("schema", "kind", "incident", "subject", "scopes", "basis")


def nothing(*_given: t.Any) -> Data:
    return {}


def shares_a_session(recorded: Data, fresh: Data) -> bool:
    """Sessions come and go one by one: a step is covered while one of its sessions is still planned."""
    same = all(recorded[key] == fresh[key] for key in ("action", "hosts", "overrides"))
    return same and not set(recorded["parameters"]["pids"]).isdisjoint(fresh["parameters"]["pids"])


def does_no_more(recorded: Data, fresh: Data) -> bool:
    """The strict form: all its sessions are still planned."""
    return shares_a_session(recorded, fresh) and set(recorded["parameters"]["pids"]) <= set(fresh["parameters"]["pids"])


POOL = Incident(
    name="database_pool",
    kind="incident",
    sources={},
    assess=nothing,
    plan=nothing,
    check_step=nothing,
    recovered=nothing,
    actions={"cancel": Action("cancel on", ()), "end": Action("end on", ())},
    valid_s=600,
    covers=shares_a_session,
)
EXACT, STRICT = replace(POOL, covers=same_step), replace(POOL, covers=does_no_more)


def step(action: str, host: str, *pids: int, overrides: t.Sequence[str] = ()) -> Data:
    return _plan.step(
        action, f"{action} on {host}", [host], why="w", undo="u", risk="r", parameters={"pids": list(pids)}, overrides=overrides
    )  # fmt: skip


def verdict(**changes: t.Any) -> Data:
    return {"subject": "database main", "status": "incident", "confirmed": True, **changes}


def plan(
    *steps: Data, incident: Incident = POOL, at: str = NOW, subject: str = "database main", **changes: t.Any
) -> Data:
    draft: Data = {"scopes": ["postgresql:main"], "basis": {"started_at": "2026-01-01T00:00:00Z"}, "steps": list(steps)}
    draft |= {"withheld": [], "messages": [], "decision": None, **changes}
    return _plan.finish(incident, verdict(subject=subject), draft, at)


def printed(*steps: Data, **changes: t.Any) -> Data:
    """A plan as it is read back from its record."""
    read: Data = json.loads(json.dumps(plan(*steps, **{"at": PRINTED, **changes})))
    return read


END, CANCEL = step("end", "d1", 7, 8), step("cancel", "d2", 5)
RECORDED = printed(END, CANCEL)


def holds(fresh: Data, recorded: Data = RECORDED, incident: Incident = POOL, now: str = NOW, **seen: t.Any) -> bool:
    return bool(_plan.still_valid(incident, recorded, fresh, verdict(**seen), now))


NEW_END, NEW_CANCEL, OTHER = step("end", "d1", 8, 9), step("cancel", "d2", 5, 6), step("end", "d3", 1)

COVERED = {
    "the same": [END, CANCEL],
    "other sessions came": [NEW_END, NEW_CANCEL],
    "a step came in front": [OTHER, NEW_END, NEW_CANCEL],
    "a step came between": [NEW_END, OTHER, NEW_CANCEL],
    "a step came behind": [NEW_END, NEW_CANCEL, OTHER],
    "one of the kind that covers nothing came in front": [step("end", "d1", 9), NEW_END, NEW_CANCEL],
}


@pytest.mark.parametrize("steps", COVERED.values(), ids=COVERED)
def test_a_plan_holds_while_each_of_its_steps_is_covered_in_order(steps: list[Data]) -> None:
    assert holds(plan(*steps))


NOT_COVERED = {
    "nothing is planned": [],
    "the first is gone": [NEW_CANCEL],
    "the last is gone": [NEW_END],
    "all its sessions are gone": [step("end", "d1", 9), NEW_CANCEL],
    "the order is swapped": [NEW_CANCEL, NEW_END],
    "it is another action": [step("cancel", "d1", 7, 8), NEW_CANCEL],
    "it is another host": [step("end", "d9", 7, 8), NEW_CANCEL],
    "it is behind break-glass now": [step("end", "d1", 7, 8, overrides=["disk"]), NEW_CANCEL],
}


@pytest.mark.parametrize("steps", NOT_COVERED.values(), ids=NOT_COVERED)
def test_a_plan_with_a_step_that_nothing_covers_is_void(steps: list[Data]) -> None:
    assert not holds(plan(*steps))


def test_one_step_of_now_covers_one_recorded_step() -> None:
    recorded = printed(step("end", "d1", 7), step("end", "d1", 8))
    assert not holds(plan(step("end", "d1", 7, 8)), recorded)
    assert holds(plan(step("end", "d1", 7, 8), step("end", "d1", 8)), recorded)
    assert not holds(plan(END), printed(END, END))


def test_overrides_of_the_recorded_plan_are_asked_for_as_well() -> None:
    recorded = printed(step("end", "d1", 7, overrides=["disk"]))
    assert not holds(plan(step("end", "d1", 7)), recorded)
    assert not holds(plan(step("end", "d1", 7, overrides=["disk", "signer"])), recorded)
    assert holds(plan(step("end", "d1", 7, 9, overrides=["disk"])), recorded)


def test_without_a_rule_of_the_incident_a_step_is_covered_by_its_equal_only() -> None:
    assert holds(plan(OTHER, END, CANCEL), incident=EXACT)
    for steps in ([NEW_END, CANCEL], [END, NEW_CANCEL], [CANCEL, END], [dict(END, overrides=["disk"]), CANCEL]):
        assert not holds(plan(*steps), incident=EXACT)


def test_what_is_on_record_is_covered_by_what_is_planned_and_not_the_other_way_round() -> None:
    less, more = step("end", "d1", 7), step("end", "d1", 7, 8)
    assert holds(plan(more), printed(less), STRICT)
    assert not holds(plan(less), printed(more), STRICT)


def test_texts_and_figures_do_not_decide() -> None:
    told = dict(END, why="x", what="y", undo="z", risk="v", impact={"label": "l", "before": 0, "after": 1, "needed": 9})
    assert holds(plan(told, CANCEL, messages=["m"], decision="d"), incident=EXACT)


@pytest.mark.parametrize(
    ("now", "valid"),
    [
        (PRINTED, True),
        ("2026-01-30T12:10:59Z", True),
        ("2026-01-30T12:10:59.999999Z", True),
        (EXPIRES, False),
        ("2026-01-30T12:11:00.000001Z", False),
        ("2026-01-30T12:11:01Z", False),
        ("2027-01-30T12:00:30Z", False),
    ],
)
def test_it_holds_up_to_the_second_it_expires(now: str, valid: bool) -> None:
    assert RECORDED["expires_at"] == EXPIRES
    assert holds(plan(END, CANCEL, at=now), now=now) is valid


@pytest.mark.parametrize("end", [None, "", "soon", "0000-00-00T00:00:00Z"])
def test_a_plan_without_a_readable_end_does_not_hold(end: str | None) -> None:
    assert not holds(plan(END, CANCEL), {**RECORDED, "expires_at": end})


def test_an_incident_whose_plans_do_not_expire_has_no_such_rule() -> None:
    forever = replace(POOL, valid_s=None)
    recorded = printed(END, CANCEL, incident=forever)
    assert recorded["expires_at"] is None
    for steps in COVERED.values():
        assert not holds(plan(*steps, incident=forever), recorded, forever)


CHANGED: dict[str, Data] = {
    "scope": {"scopes": ["postgresql:other"]},
    "one more scope": {"scopes": ["postgresql:main", "postgresql:other"]},
    "no scope": {"scopes": []},
    "basis": {"basis": {"started_at": "2026-01-30T11:59:00Z"}},
    "basis not known": {"basis": {"started_at": None}},
    "more in the basis": {"basis": {"started_at": "2026-01-01T00:00:00Z", "pid": 1}},
    "empty basis": {"basis": {}},
    "subject": {"subject": "database other"},
    "incident": {"incident": replace(POOL, name="database_split")},
    "kind": {"incident": replace(POOL, kind="action")},
    "put back": {"put_back": [step("end", "d1", 1)]},
    "automation stopped": {"stopped_by": "one key runs on two hosts"},
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_plan_of_another_state_is_void(change: Data) -> None:
    assert not holds(plan(END, CANCEL, **change))


def test_a_plan_of_another_schema_is_void() -> None:
    assert not holds(plan(END, CANCEL), {**RECORDED, "schema": "virtengine.incident.plan/1"})


def test_what_is_put_back_is_the_same_on_both_sides() -> None:
    back, other = [step("end", "d1", 1)], [step("end", "d1", 2)]
    recorded = printed(END, CANCEL, put_back=back)
    assert holds(plan(NEW_END, NEW_CANCEL, put_back=back), recorded)
    for now in ([], other, back + back):
        assert not holds(plan(NEW_END, NEW_CANCEL, put_back=now), recorded)


def test_where_it_is_not_known_what_to_lock_no_plan_holds() -> None:
    assert not holds(plan(END, CANCEL, scopes=[]), printed(END, CANCEL, scopes=[]))


def test_what_is_not_confirmed_lets_no_plan_hold() -> None:
    assert not holds(plan(END, CANCEL), confirmed=False)


def test_where_it_is_over_nothing_is_planned_that_covers_a_step() -> None:
    for status in ("healthy", "degraded", "unknown"):
        assert not holds(plan(), status=status)


# Any two plans. An independent reading of the rule, by trying every choice of steps.

STEPS = st.lists(
    st.builds(
        lambda action, host, pids, overrides: step(action, host, *sorted(pids), overrides=sorted(overrides)),
        st.sampled_from(sorted(POOL.actions)),
        st.sampled_from(["d1", "d2"]),
        st.sets(st.integers(1, 3), min_size=1),
        st.sampled_from([set(), set(), {"disk"}]),
    ),
    max_size=4,
)


def mostly(value: t.Any, *others: t.Any) -> st.SearchStrategy[t.Any]:
    """``value`` more often than not, so that two plans agree in enough to come near the rule."""
    return st.sampled_from([value] * 9 + list(others))


PARTS = st.fixed_dictionaries(
    {
        "scopes": mostly(["a"], ["b"], ["a", "b"], []),
        "basis": mostly({"x": 1}, {"x": 2}, {"x": None}, {}),
        "put_back": mostly([], [END]),
        "stopped_by": mostly(None, "reason"),
        "subject": mostly("database main", "database other"),
        "incident": mostly(
            POOL, replace(POOL, name="other"), replace(POOL, kind="action"), replace(POOL, valid_s=None)
        ),
        "at": mostly(NOW, PRINTED, "2026-01-30T11:50:00Z"),
    }
)


def permitted(incident: Incident, recorded: Data, fresh: Data, confirmed: bool) -> bool:
    """The rule as docs/approval.md says it. RFC 3339 times of one form sort as text."""
    choices = itertools.combinations(fresh["steps"], len(recorded["steps"]))
    return (
        all(recorded[key] == fresh[key] for key in (*SAME, "put_back"))
        and recorded["expires_at"] is not None
        and recorded["expires_at"] > NOW
        and recorded["scopes"] != []
        and confirmed
        and fresh["stopped_by"] is None
        and any(all(map(incident.covers, recorded["steps"], chosen)) for chosen in choices)
    )


@given(data=st.data(), incident=st.sampled_from([POOL, EXACT, STRICT]), confirmed=mostly(True, False))
def test_of_any_two_plans_those_hold_that_the_rule_permits(
    data: st.DataObject, incident: Incident, confirmed: bool
) -> None:
    steps = data.draw(STEPS.filter(bool), label="recorded")
    # Drawn from the recorded ones, so that covering comes about; and at will.
    now = data.draw(STEPS | st.lists(st.sampled_from(steps), max_size=5) | st.just([OTHER, *steps]), label="now")
    recorded, fresh = printed(*steps, **data.draw(PARTS)), plan(*now, **data.draw(PARTS))
    recorded["expires_at"] = data.draw(mostly(recorded["expires_at"], None, NOW, EXPIRES))
    before = copy.deepcopy((recorded, fresh))
    found = holds(fresh, recorded, incident, confirmed=confirmed)
    assert found is permitted(incident, recorded, fresh, confirmed)
    assert (recorded, fresh) == before


@given(steps=STEPS.filter(bool), parts=PARTS, change=st.data())
def test_a_plan_that_holds_has_every_step_planned_now_on_the_same_hosts(
    steps: list[Data], parts: Data, change: t.Any
) -> None:
    """Whatever the covering steps are, each action, host and overridden guard that is carried out is planned now as well."""
    now = change.draw(st.permutations([*steps, *change.draw(STEPS)]))
    recorded, fresh = printed(*steps, **parts), plan(*now, **parts)
    assume(holds(fresh, recorded))
    keys = ("action", "hosts", "overrides")
    left = [[made[key] for key in keys] for made in fresh["steps"]]
    for made in recorded["steps"]:
        left.remove([made[key] for key in keys])
