# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a unit of any program: its runs, exits and times, hostile lines, and a journal that may not be read."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import journal
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from hypothesis import given
from hypothesis import strategies as st

JOURNALS = Path(__file__).parents[3] / "data/host/journals"
RUN, BOOT = "a" * 32, "b" * 32
STOPPED = "9d1aaa27d60140bd96365438aad20286"


def of_database(message: str) -> tuple[list[str], str]:
    level, _colon, text = message.partition(":  ")
    kinds = {"FATAL": ["fatal"], "PANIC": ["panic"]}.get(level, [])
    return kinds + (["quoted"] if '"x"' in text else []), text


DATABASE = journal.Marks(["FATAL:", '"x"'], ["PANIC:"], of_database)


def entry(message: Any, **fields: str) -> bytes:
    content = {"__REALTIME_TIMESTAMP": "1795534767589108", "_PID": "100", "_SYSTEMD_INVOCATION_ID": RUN, **fields}
    return json.dumps({**content, "MESSAGE": message}).encode()


def marks_of(*lines: bytes, invocation: str | None = RUN) -> dict[str, dict[str, Any]]:
    reader = journal.Reader(DATABASE, invocation, BOOT)
    for line in lines:
        reader.line(line)
    return {mark["kind"]: mark for mark in reader.marks()}


def test_a_table_says_what_the_lines_of_a_program_mean() -> None:
    newer = entry("FATAL:  out of slots", __REALTIME_TIMESTAMP="1795534767000002")
    older = entry("FATAL:  starting up", __REALTIME_TIMESTAMP="1795534767000001")
    assert marks_of(newer, entry("LOG:  ready"), older)["fatal"] == {
        "kind": "fatal",
        "count": 2,
        "first_at": "2026-11-24T15:39:27.000001Z",
        "last_at": "2026-11-24T15:39:27.000002Z",
        "current": True,
        "text": "out of slots",
    }


def test_a_line_without_a_word_of_the_table_is_counted_and_not_taken_apart() -> None:
    taken: list[str] = []

    def read(message: str) -> tuple[list[str], str]:
        taken.append(message)
        return [], message

    reader = journal.Reader(journal.Marks(["FATAL:"], ["PANIC:"], read), RUN, BOOT)
    for message in ("LOG:  ready", "LOG:  PANIC: is quoted", "FATAL:  a", "PANIC:  b", "\x1b[31mFAT\x1b[0mAL:  c"):
        reader.line(entry(message))
    assert reader.lines == 5 and taken == ["FATAL:  a", "PANIC:  b", "FATAL:  c"]


def test_words_of_a_table_that_json_writes_in_another_way() -> None:
    assert set(marks_of(entry('LOG:  relation "x" is gone'))) == {"quoted"}


def test_the_runs_of_a_unit_are_told_apart() -> None:
    earlier = entry("FATAL:  a", _SYSTEMD_INVOCATION_ID="c" * 32)
    assert not marks_of(earlier)["fatal"]["current"]
    assert marks_of(earlier, entry("FATAL:  a"))["fatal"]["current"]
    # Where systemd does not know the last run any more, it is the newest in the journal.
    assert marks_of(entry("LOG:  x"), earlier, invocation=None)["fatal"]["current"] is False
    assert marks_of(earlier, entry("FATAL:  a"), invocation=None)["fatal"]["current"] is True


def recorded(name: str, invocation: str | None = None) -> dict[str, Any]:
    reader = journal.Reader(DATABASE, invocation, None)
    lines = (JOURNALS / f"journal-{name}.jsonl").read_bytes().splitlines()
    # As journalctl --reverse gives them.
    for line in sorted(lines, key=lambda raw: int(json.loads(raw)["__REALTIME_TIMESTAMP"]), reverse=True):
        reader.line(line)
    return {mark["kind"]: mark for mark in reader.marks()}


def test_the_exit_of_the_last_run_in_a_recorded_journal() -> None:
    assert recorded("appdb-corrupt", "71d8e11e026c4f4585e3825a43682682")["exited"]["current"]
    assert not recorded("appdb-corrupt", "00000000000000000000000000000000")["exited"]["current"]
    assert recorded("appdb-corrupt")["exited"]["current"]


def test_only_systemd_itself_says_that_a_process_exited() -> None:
    text = "postgresql.service: Main process exited, code=killed, status=9/KILL"
    assert marks_of(entry(text)) == {}
    found = marks_of(entry(text, _PID="1", INVOCATION_ID=RUN))
    assert set(found) == {"exited"} and found["exited"]["text"] == text


def test_the_end_of_the_unit_is_taken_from_this_boot_only() -> None:
    stopped = {"_PID": "1", "MESSAGE_ID": STOPPED, "INVOCATION_ID": RUN}
    reader = journal.Reader(DATABASE, None, "b" * 8 + "-" + "b" * 24)
    reader.line(entry("Stopped", **stopped, _BOOT_ID="c" * 32))
    assert reader.ended_at is None and reader.invocation == RUN
    reader.line(entry("Stopped", **stopped, _BOOT_ID=BOOT))
    assert reader.ended_at == 1795534767.589108


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"__REALTIME_TIMESTAMP":"x"}', b"\xff\xfe", b'{"a":' * 5000])
def test_broken_lines_are_passed_over(raw: bytes) -> None:
    assert marks_of(raw, b'{"__REALTIME_TIMESTAMP":"1","_PID":"1",' + raw) == {}


@given(st.binary(max_size=300), st.text(max_size=200))
def test_no_line_raises_and_what_is_shown_is_one_clean_line(raw: bytes, text: str) -> None:
    found = marks_of(raw, b'{"__REALTIME_TIMESTAMP":"1","_PID":"1",' + raw, entry(f"FATAL:  {text}"))
    for mark in found.values():
        assert len(mark["text"]) <= 300 and not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e]", mark["text"])


class Journal:
    """A host with a journal, and a journalctl that prints what it is told."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "journal"
        self.files = [self.folder / machine / "system.journal" for machine in ("1" * 32, "2" * 32)]
        for file in self.files:
            file.parent.mkdir(parents=True)
            file.write_bytes(b"LPKSHHRH")
        self._program = root / "bin/journalctl"
        self._program.parent.mkdir()
        monkeypatch.setattr(journal, "FOLDERS", (str(root / "none"), str(self.folder)))
        monkeypatch.setenv("PATH", str(self._program.parent), prepend=os.pathsep)
        monkeypatch.setattr(journal, "environment", lambda: {"PATH": f"{self._program.parent}:/usr/bin:/bin"})
        self.says()

    def says(self, out: str = "", err: str = "", code: int = 0) -> None:
        self._program.write_text(f"#!/bin/sh\ncat <<'EOF'\n{out}\nEOF\necho '{err}' >&2\nexit {code}\n")
        self._program.chmod(0o755)

    def read(self) -> dict[str, Any]:
        reader = journal.Reader(DATABASE, RUN, BOOT)
        return journal.read("postgresql.service", time.time() - 60, reader, time.monotonic() + 30)

    def error(self) -> PartError:
        with pytest.raises(PartError) as caught:
            self.read()
        return caught.value


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    return Journal(tmp_path, monkeypatch)


def forbid(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Paths that this user may not look into, whoever runs the test."""

    def guarded(call: Any) -> Any:
        def guard(path: Any, *args: Any, **kwargs: Any) -> Any:
            if Path(path) in paths:
                raise PermissionError(13, "Permission denied", str(path))
            return call(path, *args, **kwargs)

        return guard

    monkeypatch.setattr(os, "open", guarded(os.open))
    monkeypatch.setattr(os, "listdir", guarded(os.listdir))


def test_a_journal_that_may_be_read(host: Journal) -> None:
    host.says(entry("FATAL:  a").decode())
    seen = host.read()
    assert seen["lines_read"] == 1 and not seen["truncated"]
    assert [mark["kind"] for mark in seen["marks"]] == ["fatal"]
    assert seen["last_line_at"] == "2026-11-24T15:39:27.589108Z" and seen["invocation"] == RUN


def test_no_line_of_a_unit_is_a_fact_where_the_journal_may_be_read(host: Journal) -> None:
    assert host.read()["lines_read"] == 0
    host.says(err="Failed to add match: no such unit", code=1)
    assert host.error().kind == "failed"


def test_one_journal_that_may_be_read_is_enough(host: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, host.files[0])
    assert host.read()["lines_read"] == 0


# journalctl of systemd 252, asked for JSON, as another user: nothing on either output, and exit code 0.
def test_an_empty_answer_to_a_user_without_rights_is_no_fact(host: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, *host.files)
    error = host.error()
    assert error.kind == "privilege" and "postgresql.service" in error.text and "become" in error.text


def test_folders_that_may_not_be_looked_into_hide_a_journal(host: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, *(file.parent / "system.journal" for file in host.files))
    assert host.error().kind == "privilege"
    forbid(monkeypatch, host.folder)
    assert host.error().kind == "privilege"


def test_a_host_without_a_journal(host: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in host.files:
        file.unlink()
    assert host.error().kind == "absent"
    monkeypatch.setattr(journal, "FOLDERS", (str(host.folder / "none"),))
    assert host.error().kind == "absent"


@pytest.mark.parametrize(
    ("err", "code"),
    [
        ("No journal files were opened due to insufficient permissions.", 1),
        ("Hint: You are currently not seeing messages from other users and the system.", 0),
        ("Hint: You are currently not seeing messages from the system.", 1),
    ],
)
@pytest.mark.parametrize("lines", [[], ["FATAL:  a line of this user"]])
def test_a_journalctl_that_says_that_it_hides_lines(host: Journal, err: str, code: int, lines: list[str]) -> None:
    host.says("\n".join(entry(line).decode() for line in lines), err, code)
    assert host.error().kind == "privilege"
