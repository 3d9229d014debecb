# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record in words: what was done and how it ended, also where the entries are of another version."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain, timeline
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples

NAMED = {"step": 1, "action": "start", "what": "start the server on web1, web2", "hosts": ["web1", "web2"]}


def entry(kind: str, data: t.Any, run: str = "run-1") -> dict[str, t.Any]:
    return hash_chain.entry("", 1, "2026-05-04T10:00:00Z", run, kind, data)


def test_every_action_of_every_run_is_told_once() -> None:
    told = timeline.done(samples.entries())
    assert [one.result for one in told] == ["done"] * 5
    assert (told[2].step, told[2].what) == ("3", "start the server on web1")
    assert (told[2].started_at, told[2].finished_at) == ("2026-05-04T10:05:02.000000Z", "2026-05-04T10:05:04.500000Z")


def test_an_action_that_never_ended_is_told() -> None:
    cut_off = [one for one in samples.entries() if one["kind"] != "action_finished"]
    assert {one.result for one in timeline.done(cut_off)} == {"begun, its end is not on record"}


def test_an_action_that_another_run_ended_is_told_for_both() -> None:
    begun, ended = entry("action_started", NAMED), entry("action_finished", {**NAMED, "ok": True}, "run-2")
    assert [(one.run, one.result) for one in timeline.done([begun, ended])] == [
        ("run-1", "begun, its end is not on record"),
        ("run-2", "done"),
    ]


@pytest.mark.parametrize(
    ("kind", "data", "result"),
    [
        ("guard", {"needed": False, "ok": True}, "not needed any more"),
        ("guard", {"needed": True, "ok": False, "because": "a later answer"}, "not taken: a later answer"),
        ("action_finished", {"ok": False, "problem": "it stays dark"}, "FAILED: it stays dark"),
    ],
)
def test_a_step_that_was_not_taken_or_failed_is_told(kind: str, data: dict[str, t.Any], result: str) -> None:
    assert [one.result for one in timeline.done([entry(kind, {**NAMED, **data})])] == [result]


def test_the_steps_that_were_begun_are_those_of_runs_that_used_the_digest() -> None:
    def used(digest: str, run: str) -> dict[str, t.Any]:
        return entry("approved", {"digest": digest}, run)

    entries = [
        entry("action_started", {"action": "early", "hosts": ["web0"]}, "run-1"),
        used("pool-1", "run-1"),
        entry("action_started", NAMED, "run-1"),
        used("pool-2", "run-2"),
        entry("action_started", {"action": "resume", "hosts": ["web3"]}, "run-2"),
        used("pool-1", "run-3"),
        entry("action_started", {"action": "resume", "hosts": ["web4"]}, "run-3"),
        entry("action_started", {"action": "resume", "hosts": ["web5"]}, "run-4"),
    ]
    assert timeline.begun(entries, "pool-1") == [["start", "web1"], ["start", "web2"], ["resume", "web4"]]
    assert timeline.begun(entries, "pool-2") == [["resume", "web3"]]
    assert timeline.begun(entries, "pool-3") == []


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("run_started", {"who": "ops@laptop", "target": "web"}, "Run started by ops@laptop for the target web."),
        ("evidence", {"file": "evidence-run-1.json"}, "Evidence kept in evidence-run-1.json."),
        ("verdict", {"status": "incident", "summary": "It is short."}, "Verdict: incident. It is short."),
        ("plan", {"digest": "pool-1", "steps": [1, 2], "withheld": [3]}, "Plan pool-1: 2 steps, 1 withheld."),
        ("approved", {"digest": "pool-1", "who": "ops@laptop"}, "Plan pool-1 approved by ops@laptop."),
        (
            "approved",
            {"digest": "pool-1", "who": "ops", "resumed": True, "break_glass_reason": "seen on site"},
            "Plan pool-1 approved by ops, resumed after a run that was cut off. Break-glass: seen on site",
        ),
        (
            "lock",
            {"taken_on": ["web1"], "held_on": [["web2", {"owner": "run-9"}]], "not_taken": ["web3: late"]},
            "Lock taken on web1. Another responder holds it on web2. Not taken: web3: late.",
        ),
        ("guard", {**NAMED, "needed": False}, "Step 1, start the server on web1, web2: not needed any more."),
        (
            "guard",
            {**NAMED, "ok": False, "because": "Too few."},
            "Step 1, start the server on web1, web2: REFUSED by a guard. Too few.",
        ),
        ("action_started", NAMED, "Step 1, start the server on web1, web2: begun."),
        ("action_finished", {**NAMED, "ok": True}, "Step 1, start the server on web1, web2: done."),
        ("verified", {"recovered": False, "because": "It is dark."}, "Recovery NOT proven: It is dark."),
        ("run_finished", {"outcome": "not_recovered", "because": ["a", "b"]}, "Run ended: not recovered. a b"),
        (
            "lock",
            {"taken_on": ["web1"], "digest_not_written_on": {"web1": "no space"}},
            "Lock taken on web1. The digest could not be written down on web1 (no space).",
        ),
        (
            "note",
            {"lock_broken_on": {"web2": "run-9", "web1": "run-9"}},
            "The lock of another run was broken on web1 (run-9), web2 (run-9).",
        ),
        ("note", {"lock_left_on": ["web1"]}, "The lock could not be given back on web1."),
        ("note", {"put_back_on": ["web1"]}, "What a step changed for a time was put back on web1."),
        ("note", {"not_put_back_on": ["web1"]}, "What a step changed for a time is NOT put back on web1."),
        ("note", {"refused": "Something changed."}, "Refused: Something changed."),
        ("note", {"other": "x"}, "Note: other: x"),
        ("of_tomorrow", {"x": 1}, "of_tomorrow"),
    ],
)
def test_an_entry_is_a_sentence(kind: str, data: dict[str, t.Any], said: str) -> None:
    assert timeline.describe(entry(kind, data)) == said


def test_how_it_ended_is_what_the_newest_run_says() -> None:
    entries = [entry("run_finished", {"outcome": one}) for one in ("planned", "recovered")]
    assert timeline.outcome(entries) == "recovered"
    assert timeline.outcome([]) is None
    proofs = [entry("verified", {"recovered": one}) for one in (True, False)]
    assert timeline.recovered_at(proofs) == "2026-05-04T10:00:00Z"
    assert timeline.recovered_at(proofs[1:]) is None


KINDS = [*timeline._WORDS, "other", 7, None]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    *("because", "held_on", "taken_on", "steps", "withheld", "digest", "who", "hosts", "step", "what", "ok", "needed"),
    *(
        "problem",
        "outcome",
        "recovered",
        "refused",
        "lock_left_on",
        "lock_broken_on",
        "put_back_on",
        "break_glass_reason",
        "action",
    ),
]


BODY = JSON | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6)


@given(st.lists(st.tuples(st.sampled_from(KINDS), BODY, JSON), max_size=6))
def test_entries_of_another_shape_are_told_all_the_same(told: list[tuple[t.Any, t.Any, t.Any]]) -> None:
    entries = [{"kind": kind, "data": body, "run": run, "at": run} for kind, body, run in told]
    for one in entries:
        assert timeline.describe(one).isprintable()
    for done in timeline.done(entries):
        assert all(isinstance(text, str) for text in (done.run, done.step, done.what, done.result))
    timeline.begun(entries, "pool-1")
    timeline.outcome(entries)
    timeline.recovered_at(entries)
    timeline.break_glass(entries)


@pytest.mark.parametrize("empty", [{}, {"kind": "guard"}, {"kind": "plan", "data": None}, {"data": []}])
def test_an_entry_without_its_parts_is_told(empty: dict[str, t.Any]) -> None:
    assert isinstance(timeline.describe(empty), str)
    timeline.done([empty])
    assert timeline.begun([empty], None) == []
