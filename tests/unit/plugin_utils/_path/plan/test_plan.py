# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digest, differences and what a killed run has left, on plans of any incident."""

from __future__ import annotations

import json
import random
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from hypothesis import given
from hypothesis import strategies as st

ADDRESSES = ["A" * 40, "B" * 40, None]


def step(action: str, host: str, address: str | None = None, broken: bool = False, **more: t.Any) -> dict[str, t.Any]:
    return {
        "number": 1,
        "action": action,
        "host": host,
        "address": address,
        "break_glass": broken,
        "taken_over": ["signer"] if broken else [],
        "why": "w",
        **more,
    }


def plan(*steps: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    made = {
        "schema": _plan.SCHEMA,
        "incident": "chain_halt",
        "chain_id": "virtengine-1",
        "height": 100,
        "last_block_hash": "D" * 64,
        "steps": list(steps),
        "withheld": [],
        "messages": [],
        "decision": None,
        **changes,
    }
    return dict(made, digest=_plan.digest(made))


def verdict(status: str = "incident", confirmed: bool = True, height: int | None = 100) -> dict[str, t.Any]:
    return {"status": status, "confirmed": confirmed, "height": height}


STEPS = st.lists(
    st.builds(
        step,
        st.sampled_from(["start_node", "thaw_node", "relax_double_sign_check", "restore_double_sign_check"]),
        st.sampled_from(["v1", "v2", "v3"]),
        st.sampled_from(ADDRESSES),
        st.booleans(),
    ),
    max_size=6,
)

RELAX, START, NEXT, LAST, RESTORE = (
    step("relax_double_sign_check", "v1", "A" * 40),
    step("start_node", "v1", "A" * 40),
    step("start_node", "v2", "B" * 40),
    step("thaw_node", "v3", "C" * 40),
    step("restore_double_sign_check", "v1", "A" * 40),
)
WHOLE = plan(RELAX, START, NEXT, LAST, RESTORE)


def test_a_digest_is_a_word_and_hex() -> None:
    assert _plan.digest(WHOLE).startswith("halt-")
    assert _plan.invalid_digest(_plan.digest(WHOLE)) is None
    # Written down once: it must not change between two versions of the collection while a plan waits for approval.
    assert _plan.digest(plan()) == "halt-8ed924ffb2f3c34d"


@given(STEPS, st.randoms())
def test_the_order_of_keys_does_not_matter(steps: list[dict[str, t.Any]], chance: random.Random) -> None:
    made = plan(*steps)

    def shuffle(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            keys = list(value)
            chance.shuffle(keys)
            return {key: shuffle(value[key]) for key in keys}
        return [shuffle(one) for one in value] if isinstance(value, list) else value

    again = json.loads(json.dumps(shuffle(made)))
    assert _plan.digest(again) == made["digest"]


@given(STEPS, STEPS)
def test_other_steps_have_another_digest(left: list[dict[str, t.Any]], right: list[dict[str, t.Any]]) -> None:
    same = [_plan.identity(one) for one in left] == [_plan.identity(one) for one in right]
    assert (plan(*left)["digest"] == plan(*right)["digest"]) == same
    assert (_plan.difference(plan(*left), plan(*right)) == []) == same


@pytest.mark.parametrize(
    "change", [{"chain_id": "other-1"}, {"height": 101}, {"last_block_hash": "E" * 64}, {"last_block_hash": None}]
)
def test_another_state_of_the_chain_has_another_digest_and_a_line(change: dict[str, t.Any]) -> None:
    other = plan(RELAX, START, NEXT, LAST, RESTORE, **change)
    assert other["digest"] != WHOLE["digest"]
    assert len(_plan.difference(WHOLE, other)) == 1


def test_explanations_and_power_are_not_part_of_the_digest() -> None:
    assert plan(dict(START, why="another text", power=99))["digest"] == plan(START)["digest"]


@given(data=st.data(), times=st.integers(0, 12))
def test_a_used_digest_is_not_given_again(data: st.DataObject, times: int) -> None:
    """Whatever part of the used digests a run gets to know, the new one is none of them."""
    used: list[str] = []
    for _time in range(times):
        known = [digest for digest in used if data.draw(st.booleans())] if data.draw(st.booleans()) else used
        made = _plan.with_attempt(WHOLE, known)
        assert made["digest"] == _plan.digest(made)
        assert made["digest"] not in known
        used.append(made["digest"])
    if used:
        assert "digest was used up" in _plan.difference(WHOLE, _plan.with_attempt(WHOLE, used))[0]


@pytest.mark.parametrize("good", ["halt-0123456789abcdef", " halt-0123456789abcdef\n", "split-ffffffffffffffff"])
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


@given(STEPS, st.integers(0, 6))
def test_every_tail_is_a_suffix(steps: list[dict[str, t.Any]], cut: int) -> None:
    assert _plan.is_suffix(steps, steps[cut:])
    assert not _plan.is_suffix(steps, [*steps, START])


def test_what_is_no_tail_is_no_suffix() -> None:
    assert not _plan.is_suffix([START, NEXT, LAST], [START, NEXT])
    assert not _plan.is_suffix([START, NEXT], [NEXT, START])
    assert not _plan.is_suffix([START, NEXT], [dict(NEXT, taken_over=["signer"])])
    assert not _plan.is_suffix([], [START])


def test_differences_name_what_is_gone_new_and_why() -> None:
    held = {"action": "start_node", "host": "v2", "address": None, "why": "a vote came later", "break_glass": False}
    fresh = plan(RELAX, START, step("start_node", "v9"), LAST, RESTORE, withheld=[held])
    lines = _plan.difference(WHOLE, fresh)
    assert lines == [
        "no longer planned: start node on v2 (validator BBBBBBBBBBBB): a vote came later",
        "new: start node on v9",
    ]
    assert _plan.difference(plan(START, NEXT), plan(NEXT, START)) == ["the steps come in another order or number"]
    assert _plan.difference(plan(START), plan(decision="The chain runs."))[-1] == "now: The chain runs."


RESUMED = [
    ("nothing was done yet", [RELAX, START, NEXT, LAST, RESTORE], True),
    ("relaxed already", [START, NEXT, LAST], True),
    ("one started", [NEXT, LAST], True),
    ("two started", [LAST], True),
    ("all started", [], True),
    ("another order", [LAST, NEXT], False),
    ("one in the middle is gone", [START, LAST], False),
    ("one is new", [NEXT, LAST, step("start_node", "v4")], False),
    ("only the last is gone", [RELAX, START, NEXT], False),
    ("now behind break-glass", [dict(LAST, taken_over=["signer"])], False),
]


@pytest.mark.parametrize(("what", "fresh", "goes_on"), RESUMED, ids=[case[0] for case in RESUMED])
def test_a_killed_run_resumes_where_a_tail_is_left(what: str, fresh: list[t.Any], goes_on: bool) -> None:
    assert _plan.remaining(WHOLE, plan(*fresh), verdict()) == (WHOLE if goes_on else None)


def test_a_withheld_step_is_not_taken_for_a_done_one() -> None:
    held = {"action": "start_node", "host": "v1", "address": None, "why": "masked", "break_glass": False}
    assert _plan.remaining(WHOLE, plan(NEXT, LAST, withheld=[held]), verdict()) is None


def test_on_a_chain_that_moved_on_every_step_is_left_to_its_check() -> None:
    moved = plan(height=140, last_block_hash="E" * 64)
    assert _plan.remaining(WHOLE, moved, verdict("degraded", height=140)) == WHOLE
    assert _plan.remaining(WHOLE, moved, verdict("healthy", height=140)) == WHOLE
    assert _plan.remaining(WHOLE, moved, verdict("healthy", height=100)) is None
    assert _plan.remaining(WHOLE, moved, verdict("healthy", height=None)) is None


@pytest.mark.parametrize(
    "now",
    [verdict("unknown"), verdict(confirmed=False), verdict("degraded", confirmed=False, height=140)],
)
def test_what_is_not_known_for_certain_resumes_nothing(now: dict[str, t.Any]) -> None:
    assert _plan.remaining(WHOLE, WHOLE, now) is None


@pytest.mark.parametrize(
    "change",
    [{"chain_id": "other-1"}, {"chain_id": None}, {"height": 101}, {"last_block_hash": "E" * 64}, {"incident": "x_y"}],
)
def test_another_world_resumes_nothing(change: dict[str, t.Any]) -> None:
    assert _plan.remaining(WHOLE, plan(NEXT, LAST, **change), verdict()) is None
