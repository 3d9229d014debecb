# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record on disk: it survives a killed run, shows a changed line, keeps two writers and two incidents apart."""

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
    find_plan,
    open_record,
    record_name,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as plans
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples


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
    changed[0] = changed[0].replace('"n":1', '"n":7')
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
    assert record.read_json("x.json") is None
    assert (record.entries(), record.head(), record.kept) == ([], None, False)


def test_where_nothing_can_be_written_the_reason_is_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    record, problem = open_record(str(tmp_path / "file"), "lamp-hall", "run-1")
    assert not record.kept
    assert problem is not None
    assert "file" in problem


def test_a_record_is_for_its_owner_alone(tmp_path: Path) -> None:
    record, problem = open_record(str(tmp_path), "lamp-hall", "run-1")
    assert problem is None
    assert Path(str(record.path)).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("rubbish", [b"[]\n", b'"text"\n', b"{}\n", b"\xff\xfe\n{}\n", b"[" * 100_000 + b"\n{}\n"])
def test_a_journal_of_rubbish_is_read_without_an_error_and_not_written_to(tmp_path: Path, rubbish: bytes) -> None:
    record, _problem = open_record(str(tmp_path), "lamp-hall", "run-1")
    Path(str(record.path), JOURNAL).write_bytes(rubbish)
    assert record.entries() == []
    with pytest.raises(Refusal, match="was changed"):
        record.append("note", {})
    assert Path(str(record.path), JOURNAL).read_bytes() == rubbish


@pytest.mark.parametrize("change", [{"run": ["x"]}, {"kind": None}, {"at": 5}, {"data": []}, {"data": None}])
def test_an_entry_of_another_shape_is_left_out(tmp_path: Path, change: dict[str, t.Any]) -> None:
    entry = {"at": "2026-05-04T10:00:00Z", "run": "run-1", "kind": "note", "data": {}}
    made = [json.dumps(one) for one in (entry, {**entry, **change}, {key: entry[key] for key in ("at", "data")})]
    (tmp_path / JOURNAL).write_text("\n".join(made) + "\n", encoding="utf-8")
    assert Record(str(tmp_path), "run-2").entries() == [entry]


def test_a_record_that_is_not_kept_has_no_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record, _problem = open_record(str(tmp_path), "x", "run-1")
    record.append("note", {})
    monkeypatch.chdir(str(record.path))
    assert Record(None, "run-2").entries() == []


AT = "2026-11-30T17:14:00Z"


def test_a_name_says_which_incident_of_what_and_when() -> None:
    assert record_name("lamp", "lamp hall", "2026-11-30T17:14:00.123456Z") == "lamp-lamp_hall-20261130T171400Z"


def test_two_runs_over_the_same_incident_agree() -> None:
    names = {record_name("lamp", "lamp hall", at) for at in (AT, "2026-11-30T17:14:00.5Z", "2026-11-30T18:14:00+01:00")}
    assert len(names) == 1


@pytest.mark.parametrize(
    "subject",
    ["../../../etc", "..", ".", "", ".hidden", "a/b", "a\\b", "a\nb", "a\0b", "~root", "\u202e", "\ud800", "x" * 999],
)
@pytest.mark.parametrize("at", [AT, "", "..", "../../x", "/etc/passwd", "\ud800"])
def test_no_subject_and_no_start_leads_out_of_the_directory(tmp_path: Path, subject: str, at: str) -> None:
    name = record_name("lamp", subject, at)
    assert name.startswith("lamp-") and ".." not in name and len(name) < 200
    assert (tmp_path / name).resolve() == tmp_path.resolve() / name
    (tmp_path / name).mkdir()


SUBJECTS = st.text(max_size=20) | st.text(alphabet="ab _.-/\u00e4", max_size=12) | st.text(min_size=79, max_size=90)


@given(SUBJECTS, SUBJECTS)
@example("a b", "a_b")
@example("a/b", "a_b")
@example("a..b", "a._b")
@example("x" * 120, "x" * 121)
def test_two_subjects_never_share_a_record(left: str, right: str) -> None:
    assert (record_name("lamp", left, AT) == record_name("lamp", right, AT)) == (left == right)


@pytest.mark.parametrize("other", ["2026-11-30T17:14:01Z", "2025-11-30T17:14:00Z", "", "then"])
def test_two_incidents_and_two_starts_have_names_of_their_own(other: str) -> None:
    assert record_name("lamp", "lamp hall", AT) != record_name("lamp", "lamp hall", other)
    assert record_name("lamp", "lamp hall", AT) != record_name("pool", "lamp hall", AT)


def kept(folder: Path, name: str = "one", plan: dict[str, t.Any] | None = None) -> tuple[Record, dict[str, t.Any]]:
    record, _problem = open_record(str(folder), name, "run-1")
    made = plan or samples.plan()
    record.write(f"plan-{made['digest']}.json", json.dumps(made))
    return record, made


def test_the_plan_of_a_digest_is_found_in_the_record_that_has_it(tmp_path: Path) -> None:
    record, made = kept(tmp_path)
    open_record(str(tmp_path), "another", "run-1")
    (tmp_path / "a-file").write_text("", encoding="utf-8")
    found = find_plan(str(tmp_path), made["digest"])
    assert found is not None
    assert (found.name, found.plan, found.outcome, found.silent_s) == ("one", made, None, 0)
    record.append("approved", {"digest": made["digest"]})
    record.append("run_finished", {"outcome": "recovered"})
    found = find_plan(str(tmp_path), made["digest"])
    assert found is not None and found.outcome == "recovered"


def test_how_a_run_that_used_another_digest_ended_does_not_count(tmp_path: Path) -> None:
    record, made = kept(tmp_path)
    record.append("run_finished", {"outcome": "planned"})
    Record(record.path, "run-2").append("approved", {"digest": "pool-0000000000000000"})
    Record(record.path, "run-2").append("run_finished", {"outcome": "recovered"})
    found = find_plan(str(tmp_path), made["digest"])
    assert found is not None and found.outcome is None


def test_the_silence_is_that_of_the_runs_that_used_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, made = kept(tmp_path)
    clock = "ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record.now"
    for at, run, kind in (("10:00", "run-1", "approved"), ("10:01", "run-1", "guard"), ("10:50", "run-2", "plan")):
        monkeypatch.setattr(clock, lambda at=at: f"2026-05-04T{at}:00.000000Z")
        Record(record.path, run).append(kind, {"digest": made["digest"]})
    monkeypatch.setattr(clock, lambda: "2026-05-04T11:00:00.000000Z")
    found = find_plan(str(tmp_path), made["digest"])
    assert found is not None and found.silent_s == 59 * 60


def test_a_plan_file_that_was_changed_is_not_the_plan_that_was_approved(tmp_path: Path) -> None:
    record, made = kept(tmp_path)
    made["steps"].append({**made["steps"][0], "hosts": ["web2"]})
    record.write(f"plan-{made['digest']}.json", json.dumps(made))
    assert find_plan(str(tmp_path), made["digest"]) is None


@pytest.mark.parametrize("key", ["expires_at", "scopes", "basis", "subject", "incident", "kind", "put_back", "attempt"])
def test_nothing_that_changes_what_happens_can_be_changed(tmp_path: Path, key: str) -> None:
    record, made = kept(tmp_path)
    other = {"put_back": [made["steps"][0]], "attempt": 7}.get(key, "2027-01-01T00:00:00Z")
    record.write(f"plan-{made['digest']}.json", json.dumps({**made, key: other}))
    assert find_plan(str(tmp_path), made["digest"]) is None


@pytest.mark.parametrize("rubbish", ["", "[]", "null", '"x"', "{}", '{"steps": 5}', "[" * 100_000, "\u0000"])
def test_a_plan_file_of_rubbish_is_no_plan(tmp_path: Path, rubbish: str) -> None:
    record, made = kept(tmp_path)
    record.write(f"plan-{made['digest']}.json", rubbish)
    assert find_plan(str(tmp_path), made["digest"]) is None


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "pool-0123", "pool-0123456789abcdef/../x", "pool-XYZ"])
def test_what_is_no_digest_names_no_file(tmp_path: Path, digest: str) -> None:
    kept(tmp_path)
    assert find_plan(str(tmp_path), digest) is None
    assert find_plan(str(tmp_path / "nowhere"), "pool-0123456789abcdef") is None


def test_every_digest_that_is_printed_is_one_that_is_looked_for() -> None:
    assert plans.invalid_digest(samples.plan()["digest"]) is None
