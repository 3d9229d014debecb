# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digest, expiry, differences and what a killed run has left, on plans of an incident that is no chain's."""

from __future__ import annotations

import json
import random
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence.values import seconds, stamp
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Incident
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.action import Action
from hypothesis import given
from hypothesis import strategies as st

Data = dict[str, t.Any]

NOW = "2026-01-30T12:00:00Z"


def nothing(*_given: t.Any) -> Data:
    return {}


def more_connections(recorded: Data, verdict: Data) -> bool:
    """The database accepts connections again."""
    return verdict["status"] == "healthy" and verdict["details"]["free"] > recorded["basis"]["free"]


POOL = Incident(
    name="database_pool",
    kind="incident",
    sources={},
    assess=nothing,
    plan=nothing,
    check_step=nothing,
    recovered=nothing,
    actions={
        "cancel": Action("cancel what runs on", ()),
        "pause": Action("pause the pool on", ()),
        "resume": Action("resume the pool on", (), undoes="pause"),
        "restore_snapshot": Action("restore the snapshot on", ()),
    },
    moved_on=more_connections,
)
BRIEF = replace(POOL, valid_s=600)


def step(action: str, *hosts: str, **more: t.Any) -> Data:
    given: Data = {"why": "w", "undo": "u", "risk": "r", **more}
    return _plan.step(action, f"{action} on {', '.join(hosts)}", hosts, **given)


def draft(*steps: Data, **changes: t.Any) -> Data:
    made = {
        "scopes": ["postgresql:main"],
        "basis": {"free": 0, "started_at": "2026-01-01T00:00:00Z"},
        "steps": list(steps),
        "withheld": [],
        "messages": [],
        "decision": None,
    }
    return {**made, **changes}


def verdict(status: str = "incident", confirmed: bool = True, free: int = 0, subject: str = "database main") -> Data:
    return {"subject": subject, "status": status, "confirmed": confirmed, "details": {"free": free}}


def plan(*steps: Data, incident: Incident = POOL, subject: str = "database main", **changes: t.Any) -> Data:
    return _plan.finish(incident, verdict(subject=subject), draft(*steps, **changes), NOW)


def withheld(action: str, *hosts: str, why: str = "w") -> Data:
    return {"action": action, "what": f"{action} it", "hosts": list(hosts), "why": why, "break_glass": False}


PAUSE, CANCEL, NEXT, LAST, RESUME = (
    step("pause", "d1"),
    step("cancel", "d1", parameters={"pid": 7}),
    step("cancel", "d2", parameters={"pid": 8}),
    step("restore_snapshot", "d3"),
    step("resume", "d1"),
)
STEPS = (PAUSE, CANCEL, NEXT, LAST, RESUME)
WHOLE = plan(*STEPS)

VALUES = st.none() | st.integers(0, 3) | st.sampled_from(["a", "b"])
MADE = st.builds(
    lambda action, hosts, parameters, overrides, words: step(
        action, *hosts, parameters=parameters, overrides=overrides, why=words, undo=words, risk=words
    ),
    st.sampled_from(sorted(POOL.actions)),
    st.lists(st.sampled_from(["d1", "d2", "d3"]), min_size=1, max_size=2, unique=True),
    st.dictionaries(st.sampled_from(["pid", "age_s"]), VALUES | st.dictionaries(st.just("x"), VALUES)),
    st.lists(st.sampled_from(["signer", "disk"]), unique=True),
    st.text(max_size=5),
)
LISTS = st.lists(MADE, max_size=5)


def test_a_step_has_its_own_copies() -> None:
    parameters, hosts = {"pid": 7}, ["d1"]
    made = _plan.step("cancel", "c", hosts, why="w", undo="u", risk="r", parameters=parameters, overrides=("b", "a"))
    parameters["pid"], hosts[0] = 8, "d2"
    assert made["parameters"] == {"pid": 7} and made["hosts"] == ["d1"] and made["overrides"] == ["a", "b"]
    assert made["impact"] is None


def test_a_plan_is_its_draft_with_numbers_and_a_digest() -> None:
    assert [one["number"] for one in WHOLE["steps"]] == [1, 2, 3, 4, 5]
    assert WHOLE["digest"] == _plan.digest(WHOLE) and WHOLE["attempt"] == 0 and WHOLE["put_back"] == []
    assert (WHOLE["incident"], WHOLE["kind"]) == ("virtengine.incident.database_pool", "incident")
    assert WHOLE["subject"] == "database main" and WHOLE["expires_at"] is None
    assert json.loads(json.dumps(WHOLE)) == WHOLE


def test_a_digest_is_the_incidents_name_and_hex() -> None:
    assert WHOLE["digest"].startswith("database_pool-")
    assert _plan.invalid_digest(WHOLE["digest"]) is None
    # Written down once: it must not change between two versions of the collection while a plan waits for approval.
    assert plan()["digest"] == "database_pool-4c97ac9ae9232540"


def test_the_undo_of_a_step_names_the_digest() -> None:
    made = plan(step("cancel", "d1", undo="rename x.incident-{digest} back, {} +"))
    assert made["steps"][0]["undo"] == f"rename x.incident-{made['digest']} back, {{}} +"


@given(LISTS, st.randoms())
def test_the_order_of_keys_does_not_matter(steps: list[Data], chance: random.Random) -> None:
    made = plan(*steps)

    def shuffle(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            keys = list(value)
            chance.shuffle(keys)
            return {key: shuffle(value[key]) for key in keys}
        return [shuffle(one) for one in value] if isinstance(value, list) else value

    assert _plan.digest(json.loads(json.dumps(shuffle(made)))) == made["digest"]


@given(LISTS, LISTS)
def test_the_digest_tells_what_is_done_and_not_how_it_is_explained(left: list[Data], right: list[Data]) -> None:
    same = _plan.canonical([_plan.identity(one) for one in left]) == _plan.canonical(
        [_plan.identity(one) for one in right]
    )
    for key in ("steps", "put_back"):
        one, other = plan(**{key: left}), plan(**{key: right})
        assert (one["digest"] == other["digest"]) is same
        assert (_plan.difference(one, other) == []) is same


CHANGED: dict[str, Data] = {
    "scope": {"scopes": ["postgresql:other"]},
    "no scope": {"scopes": []},
    "basis": {"basis": {"free": 1, "started_at": "2026-01-01T00:00:00Z"}},
    "basis not known": {"basis": {"free": None, "started_at": "2026-01-01T00:00:00Z"}},
    "more in the basis": {"basis": {"free": 0, "started_at": "2026-01-01T00:00:00Z", "pids": [7]}},
    "subject": {"subject": "database other"},
    "incident": {"incident": replace(POOL, name="database_split")},
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_another_state_of_the_world_has_another_digest_and_a_line(change: Data) -> None:
    other = plan(*STEPS, **change)
    assert other["digest"] != WHOLE["digest"]
    assert len(_plan.difference(WHOLE, other)) == 1


def test_incident_and_action_of_one_name_have_different_digests() -> None:
    assert plan(*STEPS, incident=replace(POOL, kind="action"))["digest"] != WHOLE["digest"]


def test_two_incidents_with_equal_steps_have_different_digests() -> None:
    other = plan(*STEPS, incident=replace(POOL, name="other_pool"))
    assert [_plan.identity(one) for one in other["steps"]] == [_plan.identity(one) for one in WHOLE["steps"]]
    assert other["digest"].partition("-")[2] != WHOLE["digest"].partition("-")[2]


def test_what_a_person_is_told_is_not_part_of_the_digest() -> None:
    told = plan(dict(CANCEL, why="x", what="y", undo="z", risk="v", impact={"after": 1}), messages=["m"], decision="d")
    assert told["digest"] == plan(CANCEL)["digest"]


# Expiry.

MOMENTS = st.integers(1_700_000_000, 1_700_000_000 + 7200)


def at(moment: float) -> str:
    made = stamp(float(moment))
    if made is None:
        raise ValueError(moment)
    return made


@given(printed=MOMENTS, later=st.integers(0, 1500), valid_s=st.integers(1, 1200))
def test_a_plan_is_approved_within_its_time_and_not_after(printed: int, later: int, valid_s: int) -> None:
    incident = replace(POOL, valid_s=valid_s)
    made = _plan.finish(incident, verdict(), draft(*STEPS), at(printed))
    expires = seconds(made["expires_at"])
    assert expires is not None and printed + valid_s < expires <= printed + valid_s + _plan.EXPIRY_GRID_S
    found = _plan.approved_by(made["digest"], incident, verdict(), draft(*STEPS), at(printed + later), ())
    assert found == (made if printed + later < expires else None)


@given(printed=MOMENTS, later=st.integers(0, 59))
def test_two_plans_of_one_minute_have_one_digest(printed: int, later: int) -> None:
    begun = printed - printed % 60
    one, other = (_plan.finish(BRIEF, verdict(), draft(*STEPS), at(moment)) for moment in (begun, begun + later))
    assert one == other
    assert _plan.finish(BRIEF, verdict(), draft(*STEPS), at(begun + 60))["digest"] != one["digest"]


def test_a_plan_without_an_end_is_approved_at_any_time() -> None:
    for now in ("2026-01-30T12:00:00Z", "2026-02-28T12:00:00Z"):
        assert _plan.approved_by(WHOLE["digest"], POOL, verdict(), draft(*STEPS), now, ()) == WHOLE


def test_another_draft_is_not_approved() -> None:
    for other in (draft(*STEPS[:-1]), draft(*STEPS, scopes=["postgresql:other"])):
        assert _plan.approved_by(WHOLE["digest"], POOL, verdict(), other, NOW, ()) is None
    assert _plan.approved_by(WHOLE["digest"], POOL, verdict(subject="database other"), draft(*STEPS), NOW, ()) is None


def test_what_expired_is_named() -> None:
    then, now = (_plan.finish(BRIEF, verdict(), draft(*STEPS), moment) for moment in (NOW, "2026-01-30T13:00:00Z"))
    assert _plan.difference(then, now) == ["it was valid until 2026-01-30T12:11:00Z"]


# Attempts.


@given(data=st.data(), times=st.integers(0, 12), incident=st.sampled_from([POOL, BRIEF]))
def test_a_used_digest_is_not_given_again(data: st.DataObject, times: int, incident: Incident) -> None:
    """Whatever part of the used digests a run gets to know, the new one is none of them, and is approved by itself."""
    used: list[str] = []
    first = _plan.finish(incident, verdict(), draft(*STEPS), NOW)
    for _time in range(times):
        known = [digest for digest in used if data.draw(st.booleans())] if data.draw(st.booleans()) else used
        made = _plan.finish(incident, verdict(), draft(*STEPS), NOW, known)
        assert made["digest"] == _plan.digest(made)
        assert made["digest"] not in known
        assert _plan.approved_by(made["digest"], incident, verdict(), draft(*STEPS), NOW, known) == made
        used.append(made["digest"])
    if used:
        fresh = _plan.finish(incident, verdict(), draft(*STEPS), NOW, used)
        assert "their digest was used since" in _plan.difference(first, fresh)[0]


def test_a_plan_without_steps_needs_no_second_digest() -> None:
    assert _plan.finish(POOL, verdict(), draft(), NOW, [plan()["digest"]]) == plan()


@pytest.mark.parametrize("good", ["halt-0123456789abcdef", " chain_halt-0123456789abcdef\n", "b2-ffffffffffffffff"])
def test_digests_of_the_right_form(good: str) -> None:
    assert _plan.invalid_digest(good) is None


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "0123456789abcdef",
        "halt-",
        "halt-0123456789ABCDEF",
        "halt-0123456789abcde",
        "halt_0123456789abcdef",
        "_halt-0123456789abcdef",
        "\x1b[2J",
    ],
)
def test_digests_of_a_wrong_form(bad: str) -> None:
    problem = _plan.invalid_digest(bad)
    assert problem is not None and "\x1b" not in problem and "Nothing was done" in problem


@pytest.mark.parametrize("number", [342391, 1e99, 0, 10**400])
def test_a_number_is_answered_with_the_cause(number: t.Any) -> None:
    problem = _plan.invalid_digest(number)
    assert problem is not None and "number" in problem and "quotes" in problem and len(problem) < 400


@pytest.mark.parametrize("other", [None, True, ["halt-0123456789abcdef"], {"a": 1}])
def test_what_is_no_text_is_no_digest(other: t.Any) -> None:
    assert "no text" in (_plan.invalid_digest(other) or "")


# Differences.


def test_differences_name_what_is_gone_new_and_why() -> None:
    fresh = plan(
        PAUSE, CANCEL, step("cancel", "d9"), LAST, RESUME, withheld=[withheld("cancel", "d2", why="it ended by itself")]
    )
    assert _plan.difference(WHOLE, fresh) == [
        "no longer planned: cancel on d2 (pid 8): it ended by itself",
        "new: cancel on d9",
    ]
    assert _plan.difference(plan(CANCEL, NEXT), plan(NEXT, CANCEL)) == ["the steps come in another order or number"]
    assert _plan.difference(plan(CANCEL), plan(decision="It is over."))[-1] == "now: It is over."
    assert _plan.difference(plan(CANCEL), plan(CANCEL, put_back=[RESUME])) == [
        "what is put back at the end is not the same"
    ]
    assert _plan.difference(WHOLE, WHOLE) == []


def test_a_difference_says_both_values() -> None:
    fresh = plan(*STEPS, basis={"free": None, "pids": [7, 8]}, scopes=["a", "b"])
    assert _plan.difference(WHOLE, fresh) == [
        "scopes: postgresql:main then, a, b now",
        "free: 0 then, unknown now",
        "started at: 2026-01-01T00:00:00Z then, unknown now",
        "pids: unknown then, 7, 8 now",
    ]


def test_a_step_is_described_with_its_values() -> None:
    made = step("cancel", "d1", parameters={"pid": 7, "user": None, "expected": {"age_s": 9, "wait": None}})
    assert _plan.describe(made) == "cancel on d1 (pid 7, expected age s 9, wait unknown)"
    assert _plan.describe(dict(PAUSE, overrides=["signer"])) == "pause on d1 [break-glass]"


# What is left.


@given(LISTS, st.integers(0, 6))
def test_every_tail_is_a_suffix(steps: list[Data], cut: int) -> None:
    assert _plan.is_suffix(steps, steps[cut:])
    assert not _plan.is_suffix(steps, [*steps, CANCEL])


def test_what_is_no_tail_is_no_suffix() -> None:
    assert not _plan.is_suffix([CANCEL, NEXT, LAST], [CANCEL, NEXT])
    assert not _plan.is_suffix([CANCEL, NEXT], [NEXT, CANCEL])
    assert not _plan.is_suffix([CANCEL, NEXT], [dict(NEXT, overrides=["signer"])])
    assert not _plan.is_suffix([CANCEL, NEXT], [dict(NEXT, parameters={"pid": 9})])
    assert not _plan.is_suffix([], [CANCEL])


def left(fresh: Data, now: Data) -> Data | None:
    return _plan.remaining(POOL, WHOLE, fresh, now, NOW)


RESUMED = [
    ("nothing was done yet", STEPS, True),
    ("paused already", [CANCEL, NEXT, LAST], True),
    ("one cancelled", [NEXT, LAST], True),
    ("resumed too early", [NEXT, LAST, RESUME], True),
    ("the snapshot is left", [LAST], True),
    ("all done", [], True),
    ("another order", [LAST, NEXT], False),
    ("one in the middle is gone", [CANCEL, LAST], False),
    ("one is new", [NEXT, LAST, step("cancel", "d4")], False),
    ("only the last is gone", [PAUSE, CANCEL, NEXT], False),
    ("now behind break-glass", [dict(LAST, overrides=["signer"])], False),
    ("another value", [dict(NEXT, parameters={"pid": 9}), LAST], False),
]


@pytest.mark.parametrize(("what", "fresh", "goes_on"), RESUMED, ids=[case[0] for case in RESUMED])
def test_a_killed_run_resumes_where_a_tail_is_left(what: str, fresh: t.Sequence[Data], goes_on: bool) -> None:
    assert left(plan(*fresh), verdict()) == (WHOLE if goes_on else None)


def test_what_takes_nothing_back_is_asked_for_whatever_its_name() -> None:
    """The plan's last lasting step is the snapshot: a plan of now that has only the resuming left has lost it."""
    assert left(plan(NEXT, RESUME), verdict()) is None
    undoing = replace(POOL, actions={**POOL.actions, "restore_snapshot": Action("restore", (), undoes="cancel")})
    assert _plan.remaining(undoing, WHOLE, plan(NEXT, RESUME), verdict(), NOW) == WHOLE


def test_a_withheld_step_is_not_taken_for_a_done_one() -> None:
    assert left(plan(NEXT, LAST, withheld=[withheld("cancel", "d1")]), verdict()) is None
    assert left(plan(NEXT, LAST, withheld=[withheld("cancel", "d9")]), verdict()) == WHOLE
    assert left(plan(CANCEL, NEXT, LAST, withheld=[withheld("resume", "d1")]), verdict()) == WHOLE


def test_one_host_of_a_step_that_is_withheld_is_enough() -> None:
    wide = plan(step("cancel", "d1", "d2"), LAST)
    fresh = plan(LAST, withheld=[withheld("cancel", "d2", "d3")])
    assert _plan.remaining(POOL, wide, fresh, verdict(), NOW) is None


def test_where_the_world_moved_on_every_step_is_left_to_its_check() -> None:
    moved = plan(basis={"free": 40})
    assert left(moved, verdict("healthy", free=40)) == WHOLE
    assert left(moved, verdict("healthy", free=0)) is None
    assert left(moved, verdict("degraded", free=40)) is None
    assert (
        _plan.remaining(replace(POOL, moved_on=Incident.moved_on), WHOLE, moved, verdict("healthy", free=40), NOW)
        is None
    )


@pytest.mark.parametrize(
    "now", [verdict("unknown"), verdict("degraded"), verdict(confirmed=False), verdict("healthy", False, free=40)]
)
def test_what_is_not_known_for_certain_resumes_nothing(now: Data) -> None:
    assert left(WHOLE, now) is None


def test_an_action_on_what_is_whole_resumes_there() -> None:
    action = replace(POOL, kind="action", plans_for=frozenset({"healthy"}))
    recorded = plan(*STEPS, incident=action)
    fresh = plan(NEXT, LAST, incident=action)
    assert _plan.remaining(action, recorded, fresh, verdict("healthy"), NOW) == recorded
    assert _plan.remaining(action, recorded, fresh, verdict("incident"), NOW) is None


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_another_world_resumes_nothing(change: Data) -> None:
    assert left(plan(NEXT, LAST, **change), verdict()) is None


def test_what_has_no_scope_is_never_resumed() -> None:
    nowhere = plan(*STEPS, scopes=[])
    assert _plan.remaining(POOL, nowhere, nowhere, verdict("healthy", free=40), NOW) is None


def test_what_is_left_of_an_expired_plan_is_void() -> None:
    recorded = {**WHOLE, "expires_at": "2026-01-30T12:01:00Z"}
    fresh = plan(NEXT, LAST, RESUME)
    assert _plan.remaining(POOL, recorded, fresh, verdict(), "2026-01-30T12:00:59Z") == recorded
    assert _plan.remaining(POOL, recorded, fresh, verdict(), "2026-01-30T12:01:00Z") is None


def test_where_no_automation_may_act_nothing_is_left_of_a_plan() -> None:
    """Without a step, and with nothing withheld, the plan of now would pass for the end of any other."""
    stopped = plan(stopped_by="one key runs on two hosts")
    assert _plan.remaining(POOL, WHOLE, stopped, verdict(), NOW) is None
