# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record on disk: it survives a killed run, shows a changed line, and keeps two writers apart."""

from __future__ import annotations

import json
import multiprocessing
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import (
    JOURNAL,
    Record,
    RunState,
    find_plan,
    incident_id,
    open_record,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain
from hypothesis import given
from hypothesis import strategies as st


def lines(path: Path) -> list[str]:
    return (path / JOURNAL).read_text(encoding="utf-8").splitlines()


def test_entries_are_chained_and_evidence_is_hashed(tmp_path: Path) -> None:
    record = Record(str(tmp_path), "run-1")
    record.append("run_started", {"who": "sre"})
    record.evidence("evidence-run-1.json", {"b": 1, "a": [2]})
    assert [entry["kind"] for entry in record.entries()] == ["run_started", "evidence"]
    head = hash_chain.verify(lines(tmp_path))
    assert head.hash == record.head()
    assert json.loads((tmp_path / "evidence-run-1.json").read_text(encoding="utf-8")) == {"b": 1, "a": [2]}


def test_a_changed_line_stops_the_run(tmp_path: Path) -> None:
    record = Record(str(tmp_path), "run-1")
    record.append("note", {"n": 1})
    record.append("note", {"n": 2})
    changed = lines(tmp_path)
    changed[0] = changed[0].replace('"n":1', '"n":7').replace('"n": 1', '"n": 7')
    (tmp_path / JOURNAL).write_text("\n".join(changed) + "\n", encoding="utf-8")
    with pytest.raises(Refusal, match="was changed"):
        record.append("note", {"n": 3})


def test_half_a_line_of_a_killed_run_is_kept_beside_the_journal(tmp_path: Path) -> None:
    record = Record(str(tmp_path), "run-1")
    record.append("note", {"n": 1})
    with (tmp_path / JOURNAL).open("a", encoding="utf-8") as stream:
        stream.write('{"seq": 2, "at": "20')
    later = Record(str(tmp_path), "run-2")
    later.append("note", {"n": 2})
    assert (tmp_path / "torn-run-2.txt").read_text(encoding="utf-8") == '{"seq": 2, "at": "20'
    assert [entry["data"] for entry in later.entries()] == [{"n": 1}, {"n": 2}]
    assert not hash_chain.verify(lines(tmp_path)).torn


def append_many(path: str, run: str) -> None:
    for number in range(20):
        Record(path, run).append("note", {"n": number})


def test_two_runs_write_one_journal_in_turn(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=append_many, args=(str(tmp_path), f"run-{number}")) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert hash_chain.verify(lines(tmp_path)).seq == 60


def test_a_record_without_a_place_keeps_nothing() -> None:
    record = Record(None, "run-1")
    record.append("note", {})
    record.evidence("x.json", {})
    assert record.write("report.html", "x") is None
    assert (record.entries(), record.head(), record.kept) == ([], None, False)


def test_where_nothing_can_be_written_the_reason_is_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    record, problem = open_record(str(tmp_path / "file"), "chain-1", "run-1")
    assert not record.kept
    assert problem is not None
    assert "file" in problem


@given(st.text(), st.integers() | st.none(), st.text() | st.none())
def test_the_id_is_a_safe_file_name(chain: str, height: int | None, block: str | None) -> None:
    name = incident_id({"chain_id": chain, "height": height, "last_block_hash": block})
    assert name
    assert "/" not in name
    assert not name.startswith(".")


def test_a_run_that_was_not_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="from its beginning"):
        RunState(str(tmp_path))


def test_what_a_run_keeps_is_gone_when_it_closes() -> None:
    state = RunState.create({"run": "run-1"})
    state.keep("bundle", {"a": "{{ lookup('pipe', 'id') }}"})
    assert RunState(state.path).read("bundle") == {"a": "{{ lookup('pipe', 'id') }}"}
    assert state.read("nothing") is None
    state.remove()
    assert not Path(state.path).exists()


def a_plan() -> dict[str, t.Any]:
    step = {"action": "start_node", "host": "v1", "address": None, "break_glass": False, "taken_over": []}
    made = {"incident": "chain_halt", "chain_id": "c-1", "height": 5, "last_block_hash": "AB", "steps": [step]}
    return {**made, "digest": plan.digest(made)}


def test_a_plan_file_that_was_changed_is_not_the_plan_that_was_approved(tmp_path: Path) -> None:
    record, _problem = open_record(str(tmp_path), "c-1-5-AB", "run-1")
    made = a_plan()
    record.write(f"plan-{made['digest']}.json", json.dumps(made))
    found = find_plan(str(tmp_path), made["digest"])
    assert found is not None
    assert found.plan == made
    made["steps"].append({**made["steps"][0], "host": "v2"})
    record.write(f"plan-{made['digest']}.json", json.dumps(made))
    assert find_plan(str(tmp_path), made["digest"]) is None


@pytest.mark.parametrize("rubbish", [b"[]\n", b'"text"\n', b"{}\n", b"\xff\xfe\n{}\n", b"[" * 100_000 + b"\n{}\n"])
def test_a_journal_of_rubbish_is_read_without_an_error_and_not_written_to(tmp_path: Path, rubbish: bytes) -> None:
    record, _problem = open_record(str(tmp_path), "c-1-5-AB", "run-1")
    Path(str(record.path), "journal.jsonl").write_bytes(rubbish)
    assert record.entries() == []
    with pytest.raises(Refusal, match="was changed"):
        record.append("note", {})
    assert Path(str(record.path), "journal.jsonl").read_bytes() == rubbish


def test_a_record_that_is_not_kept_has_no_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record, _problem = open_record(str(tmp_path), "x", "run-1")
    record.append("note", {})
    monkeypatch.chdir(str(record.path))
    assert Record(None, "run-2").entries() == []
