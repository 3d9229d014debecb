# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From causes to the lists of a verdict: which one a tired person reads first."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict import judge, verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.cause import (
    HOLDS,
    Cause,
    Finding,
    cannot_tell,
    refuted,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples


def cause(name: str, finding: Finding, **more: t.Any) -> Cause:
    return Cause(name, f"{name} in short", f"Cause {name}", "7", "SEV-1", predicate=lambda _world: finding, **more)


def judged(*causes: Cause) -> dict[str, list[dict[str, t.Any]]]:
    return judge.judge(causes, lambda one: one.predicate(None) if one.predicate else refuted(""))


def holds(weight: int = 0, **more: t.Any) -> Finding:
    return Finding(HOLDS, "seen", weight, **more)


def test_what_is_an_incident_of_its_own_stands_first_then_what_costs_most() -> None:
    found = judged(
        cause("symptom", holds(99, symptom=True)),
        cause("light", holds(1)),
        cause("heavy", holds(50)),
        cause("lasting", holds(0), lasting=True),
        cause("lasting_symptom", holds(100, symptom=True), lasting=True),
    )
    assert [entry["id"] for entry in found["causes"]] == ["lasting", "heavy", "light", "lasting_symptom", "symptom"]


def test_each_answer_is_in_its_list_with_its_reason() -> None:
    found = judged(cause("a", refuted("it answers")), cause("b", cannot_tell("the journal")), cause("c", holds()))
    assert [(entry["id"], entry["because"]) for entry in found["refuted"]] == [("a", "it answers")]
    assert [(entry["id"], entry["missing"]) for entry in found["cannot_tell"]] == [("b", "the journal")]
    assert [(entry["id"], entry["because"]) for entry in found["causes"]] == [("c", "seen")]


def test_a_finding_knows_better_than_its_cause_what_it_justifies() -> None:
    one = cause("a", holds(), justifies=("start",), forbids=("stop",))
    assert judged(one)["causes"][0]["justifies"] == ["start"]
    better = dataclasses.replace(one, predicate=lambda _world: holds(justifies=(), forbids=("start",)))
    assert (judged(better)["causes"][0]["justifies"], judged(better)["causes"][0]["forbids"]) == ([], ["start"])


@given(st.text(), st.sampled_from([HOLDS, "refuted", "cannot_tell"]))
def test_a_reason_is_one_safe_line(text: str, answer: str) -> None:
    (entry,) = [entry for entries in judged(cause("a", Finding(answer, text))).values() for entry in entries]
    said = entry.get("because", entry.get("missing"))
    assert said.isprintable() and len(said) <= judge.BECAUSE_LIMIT


@pytest.mark.parametrize("count", [0, 1, 8, 12])
def test_hosts_are_put_into_the_texts_of_a_cause(count: int) -> None:
    text = judge.filled("Look at {hosts}: {load}", {"hosts": [f"web{n}" for n in range(count)]}, {"load": 5})
    names = ", ".join(f"web{n}" for n in range(min(count, 8)))
    more = " and 4 more" if count == 12 else ""
    assert text == f"Look at {names + more or 'the hosts named above'}: 5"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (45.9, "45 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_lengths_of_time_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert judge.duration(seconds) == words


def test_a_verdict_that_was_kept_and_read_again_is_the_same() -> None:
    made = samples.verdict(samples.large_rows())
    assert json.loads(json.dumps(made)) == made
    assert made["schema"] == verdict.SCHEMA
    assert made["tables"][0]["rows"][0]["looks"] in verdict.LOOKS
