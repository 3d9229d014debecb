# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the locks are before the first step: all scopes on all hosts that answer, or nothing is done."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.action.many import HOSTS, THEIRS, TWO, cleared, refused
from tests.unit.action.steps import Runs


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    made = Runs(tmp_path, monkeypatch)
    yield made
    made.end()


def test_the_run_acts_where_every_host_that_answers_gave_every_lock(runs: Runs) -> None:
    run = cleared(runs)
    run.take("api-1", scopes=TWO)
    assert run.check("lock_first") == {"changed": False, "taken_on": ["api-1"]}
    assert "locked_on" not in run.state.read("gate") and "approved" not in run.kinds()
    run.take("api-2", "api-3", scopes=TWO)
    assert run.check("lock") == {"changed": False, "taken_on": list(HOSTS)}
    assert run.state.read("gate")["locked_on"] == list(HOSTS)
    (used,) = (entry["data"] for entry in run.record.entries() if entry["kind"] == "approved")
    assert used == {
        "who": "ops@laptop",
        "digest": run.state.read("gate")["digest"],
        "resumed": False,
        "break_glass_reason": None,
    }


def test_a_host_that_did_not_answer_is_not_asked_for_a_lock(runs: Runs) -> None:
    run = cleared(runs)
    bundle = run.state.read("bundle")
    for entry in bundle["observations"]:
        if entry["host"] == "api-3":
            entry.update(ok=False, error={"kind": "late", "text": "no answer"})
    run.state.keep("bundle", bundle)
    run.take("api-1", "api-2", scopes=TWO)
    assert run.check("lock")["taken_on"] == ["api-1", "api-2"]


@pytest.mark.parametrize("missing", [("api-2", TWO[0]), ("api-2", TWO[1]), ("api-3", TWO[1])], ids=str)
def test_one_scope_that_is_missing_on_one_host_is_no_lock(runs: Runs, missing: tuple[str, str]) -> None:
    run = cleared(runs)
    for host in HOSTS:
        run.take(host, scopes=[scope for scope in TWO if (host, scope) != missing])
    said = refused(run.check("lock"))
    assert said == f"The lock could not be taken, nothing was done. {missing[0]}: no answer"
    assert "locked_on" not in run.state.read("gate") and "approved" not in run.kinds()


def test_a_host_without_any_answer_is_no_lock(runs: Runs) -> None:
    run = cleared(runs)
    run.take("api-1", "api-3", scopes=TWO)
    assert "api-2: no answer" in refused(run.check("lock"))


def test_why_a_lock_could_not_be_taken_is_said(runs: Runs) -> None:
    run = cleared(runs)
    run.take("api-1", "api-3", scopes=TWO)
    run.take("api-2", scopes=TWO, failed=True, held=False, msg="/run/lock: read-only file system")
    assert "api-2: /run/lock: read-only file system" in refused(run.check("lock"))
    assert run.record.entries()[-1]["data"]["not_taken"] == ["api-2: /run/lock: read-only file system"]


def test_another_responder_is_named_with_what_breaks_its_lock(runs: Runs) -> None:
    run = cleared(runs)
    run.take("api-1", "api-3", scopes=TWO)
    run.take("api-2", scopes=TWO[:1])
    run.take("api-2", scopes=TWO[1:], failed=True, held=False, held_by=THEIRS)
    said = refused(run.check("lock"))
    assert (
        "Another responder holds the lock of lamp:hall, mains:north on api-2: run-00000009 (eve@laptop, 300 s ago)"
        in said
    )
    assert said.endswith("run again with -e incident_break_lock=run-00000009")
    assert "approved" not in run.kinds() and run.kinds()[-1] == "lock"


def test_a_lock_that_cannot_be_read_is_nobodys_to_break_by_name(runs: Runs) -> None:
    run = cleared(runs)
    run.take("api-1", scopes=TWO, failed=True, held=False, held_by={"owner": "", "who": "", "age_s": 7})
    said = refused(run.check("lock_first"))
    assert "an unreadable lock file (unknown, 7 s ago)" in said and "incident_break_lock" not in said


@pytest.mark.parametrize(
    "held_by", ["run-00000009", 5, ["run-00000009"], True, {"owner": {"a": "\x1b[2J"}}, {"owner": "\x1b[2Jx"}]
)
def test_no_answer_about_the_holder_breaks_the_check(runs: Runs, held_by: t.Any) -> None:
    run = cleared(runs)
    run.take("api-1", scopes=TWO, failed=True, held=False, held_by=held_by)
    said = refused(run.check("lock_first"))
    assert "\x1b" not in said and "othing was done" in said


@pytest.mark.parametrize("answer", [{"held": False}, {"held": None}, {"failed": True}])
def test_only_a_lock_that_is_ours_counts(runs: Runs, answer: t.Any) -> None:
    run = cleared(runs)
    run.take("api-1", scopes=TWO, **answer)
    assert "could not be taken" in refused(run.check("lock_first"))


def test_a_digest_that_a_host_knows_as_used_is_refused_under_the_lock(runs: Runs) -> None:
    run = cleared(runs)
    run.take("api-1", scopes=TWO, used=True)
    assert "The digest was used before, as api-1 knows. Nothing was done." in refused(run.check("lock_first"))
    run.state.keep("gate", {**run.state.read("gate"), "resumed": True})
    assert run.check("lock_first")["taken_on"] == ["api-1"], "a run that is taken up comes back with it"


def test_a_record_that_cannot_tell_of_the_approval_lets_nothing_act(runs: Runs) -> None:
    run = cleared(runs)
    run.take(scopes=TWO)
    journal = Path(str(run.record.path), "journal.jsonl")
    journal.write_text(journal.read_text(encoding="utf-8").replace("ops@laptop", "eve@laptop"), encoding="utf-8")
    assert "was changed" in refused(run.check("lock"))
    assert "locked_on" not in run.state.read("gate"), "a run that did nothing is one that was refused"
