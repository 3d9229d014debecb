# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look becomes a verdict: how many looks are taken, and what is said after the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.action import incident_assess
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller import looks
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Timing

from tests.unit.action.steps import Run, Runs, changed
from tests.unit.lamp import DARK, SOURCE


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    made = Runs(tmp_path, monkeypatch)
    yield made
    made.end()


def look(run: Run) -> tuple[bool, int, bool]:
    run.see("api", DARK)
    answer = run.call(incident_assess)
    return answer["more"], answer["next_look"], answer["confirmed"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_as_many_looks_are_taken_as_the_incident_needs(runs: Runs, count: int) -> None:
    run = runs.new(changed(timing=Timing(looks=count, gap_s=6)))
    taken = [look(run) for _look in range(count)]
    assert [more for more, _next, _confirmed in taken] == [True] * (count - 1) + [False]
    assert [after for _more, after, _confirmed in taken] == list(range(2, count + 2))
    assert looks.current(run.state) == {"number": count + 1, "pause_s": 0}, "what follows does not wait"
    assert sum(line.startswith("FIRST ANSWER") for line in run.said) == min(1, count - 1)


def test_between_two_looks_lies_the_gap(runs: Runs) -> None:
    run = runs.new(changed(timing=Timing(looks=2, gap_s=6)))
    look(run)
    assert looks.current(run.state) == {"number": 2, "pause_s": 6}


def test_saved_evidence_is_assessed_at_once_and_as_it_is(runs: Runs) -> None:
    saved = runs.new()
    saved.diagnose()
    bundle = saved.state.read("bundle")
    run = runs.new(replay=True)
    run.state.keep("bundle", bundle)
    answer = run.call(incident_assess)
    assert (answer["more"], answer["status"], answer["confirmed"]) == (False, "incident", True)
    assert run.state.read("bundle") == bundle
    assert run.said == []


def test_the_verdict_is_of_all_that_was_seen(runs: Runs) -> None:
    run = runs.new()
    run.see("api", None)
    assert run.call(incident_assess)["status"] == "unknown"
    run.see("api", DARK)
    answer = run.call(incident_assess)
    assert (answer["status"], answer["subject"]) == ("incident", "lamp hall")
    assert run.state.read("verdict")["status"] == "incident"
    assert {entry["source"] for entry in run.state.read("bundle")["observations"]} == {SOURCE}
