# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a systemd unit, read newest line first into marks: what its lines mean. PRIVATE to the collection.

What a line of a program means is told by a table that the caller gives; what systemd itself says of a unit is known here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import typing as t

from .parts import PartError, clean, environment, stamp

# A chatty program at ten lines a second: these bounds hold several hours of it.
LINES_CAP = 400_000
BYTES_CAP = 256 * 1024 * 1024
LINE_CAP = 1024 * 1024
# Where journald keeps a folder for each machine id.
FOLDERS = ("/var/log/journal", "/run/log/journal")

_FIELDS = "MESSAGE,_PID,_SYSTEMD_INVOCATION_ID,INVOCATION_ID,USER_INVOCATION_ID,MESSAGE_ID,_BOOT_ID"
_EXITED = "98e322203f7a4ed290d09fe03c09fe15"
# systemd's own ids: process exited, unit failed, unit stopped, unit deactivated (systemd catalogue).
_ENDED = frozenset(
    {
        _EXITED,
        "d9b373ed55a64feb8242e02dbe79a49c",
        "9d1aaa27d60140bd96365438aad20286",
        "7ad2d189f7e94e70a38c781354912448",
    }
)
_JOURNAL_TIME = re.compile(rb'"__REALTIME_TIMESTAMP"\s*:\s*"(\d{1,18})"')
_INVOCATION = re.compile(rb'"_SYSTEMD_INVOCATION_ID"\s*:\s*"([0-9a-f]{32})"')
# What journalctl writes to its error output when it may not read all files (systemd, journal_access_check_and_warn).
_HIDDEN = re.compile(r"insufficient permissions|not seeing messages from")


class Marks(t.NamedTuple):
    """The table of what a program's lines mean.

    ``pieces``: one of these texts is in every line that means anything, or it begins with one of ``begins``; any other
    line is only counted. ``read`` takes such a line apart: its kinds, usually none, and its text as it may be shown.
    """

    pieces: t.Collection[str]
    begins: t.Collection[str]
    read: t.Callable[[str], tuple[list[str], str]]


def _worth(marks: Marks) -> re.Pattern[bytes]:
    """What makes a line of ``journalctl -o json`` worth taking apart. Byte arrays and systemd's lines always are."""

    def in_json(text: str) -> bytes:
        return re.escape(json.dumps(text)[1:-1].encode("ascii"))

    return re.compile(
        b"|".join(
            [
                *(in_json(piece) for piece in sorted(marks.pieces)),
                *(rb'"MESSAGE"\s*:\s*"' + in_json(begin) for begin in marks.begins),
                rb'"MESSAGE"\s*:\s*\[',
                rb'"_PID"\s*:\s*"1"',
                rb"\\u001b",
            ]
        )
    )


def plain_message(value: t.Any) -> str:
    """A journal MESSAGE as text: it may be an array of bytes, and may carry terminal escapes."""
    if isinstance(value, list):
        try:
            value = bytes(value).decode("utf-8", "replace")
        except (ValueError, TypeError):
            return ""
    # Above what journald keeps of a line (48 kB), so that a JSON line stays whole.
    return clean(value, 64_000) if isinstance(value, str) else ""


class Reader:
    """Collects marks from journal lines, newest line first. ``invocation`` is the unit's last run, None: not known."""

    def __init__(self, marks: Marks, invocation: str | None, boot_id: str | None) -> None:
        self._table = marks
        self._worth = _worth(marks)
        self.invocation = invocation
        self.boot_id = (boot_id or "").replace("-", "")
        self.lines = 0
        self.last_at: float | None = None
        self.ended_at: float | None = None
        self._marks: dict[str, dict[str, t.Any]] = {}

    def line(self, raw: bytes) -> None:
        """Take one line of ``journalctl -o json``."""
        at = _JOURNAL_TIME.search(raw)
        if at is None:
            return
        self.lines += 1
        moment = int(at.group(1)) / 1e6
        if self.last_at is None:
            self.last_at = moment
        if self.invocation is None:
            # systemd has forgotten the unit: its last invocation is the newest one in the journal.
            last = _INVOCATION.search(raw)
            self.invocation = last.group(1).decode("ascii") if last else None
        if not self._worth.search(raw):
            return
        try:
            entry = json.loads(raw)
        except (ValueError, RecursionError):
            return
        if isinstance(entry, dict):
            self._entry(entry, moment)

    def _entry(self, entry: dict[str, t.Any], moment: float) -> None:
        message = plain_message(entry.get("MESSAGE"))
        if entry.get("_PID") == "1":
            invocation = entry.get("INVOCATION_ID") or entry.get("USER_INVOCATION_ID")
            ident = entry.get("MESSAGE_ID")
            if ident in _ENDED:
                self.invocation = self.invocation or invocation
                if self.ended_at is None and entry.get("_BOOT_ID") == self.boot_id:
                    self.ended_at = moment
            if ident == _EXITED or "Main process exited, code=" in message:
                self._mark("exited", message, moment, invocation)
            return
        kinds, text = self._table.read(message)
        for kind in kinds:
            self._mark(kind, text, moment, entry.get("_SYSTEMD_INVOCATION_ID"))

    def _mark(self, kind: str, text: str, moment: float, invocation: t.Any) -> None:
        mark = self._marks.setdefault(
            kind,
            {"kind": kind, "count": 0, "first_at": "", "last_at": stamp(moment), "current": False, "text": clean(text)},
        )
        mark["count"] += 1
        mark["first_at"] = stamp(moment)
        if self.invocation is not None and invocation == self.invocation:
            mark["current"] = True

    def marks(self) -> list[dict[str, t.Any]]:
        """The marks, newest first; ``text`` is the newest line of its kind."""
        return sorted(self._marks.values(), key=lambda mark: (mark["last_at"], mark["kind"]), reverse=True)


def read(unit: str, since: float, reader: Reader, until: float) -> dict[str, t.Any]:
    """The contract's ``journal`` data, and ``ended_at``: when systemd last said in this boot that the unit ended.

    ``since`` is seconds since 1970; ``until`` a reading of ``time.monotonic()`` at which reading stops, what was read
    by then being marked truncated. Raises PartError ``absent``, ``privilege``.
    """
    _readable(unit)
    # Newest first, so that bounds cut the oldest. --all: without it a line above 4096 bytes (a stack) comes as null.
    argv = ["journalctl", "--unit", unit, "--output", "json", "--output-fields", _FIELDS, "--all", "--no-pager"]
    argv += ["--reverse", "--since", f"@{int(since)}"]
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
    except FileNotFoundError as error:
        raise PartError("absent", "journalctl is not installed on this host") from error
    truncated, size = False, 0
    if process.stdout is None or process.stderr is None:
        raise PartError("failed", "journalctl: no output")
    with process.stdout as stream:
        for raw in iter(lambda: stream.readline(LINE_CAP), b""):
            size += len(raw)
            reader.line(raw)
            if reader.lines >= LINES_CAP or size >= BYTES_CAP or time.monotonic() >= until:
                truncated = True
                process.kill()
                break
    with process.stderr as stream:
        complaint = "" if truncated else stream.read(4096).decode("utf-8", "replace")
    code = process.wait()
    if _HIDDEN.search(complaint):
        raise _hidden(unit)
    if not truncated and reader.lines == 0 and code != 0:
        raise PartError("failed", f"journalctl --unit {unit}: {complaint or 'no message'}")
    return {
        "since": stamp(since),
        "lines_read": reader.lines,
        "truncated": truncated,
        "last_line_at": stamp(reader.last_at) if reader.last_at is not None else None,
        "marks": reader.marks(),
        "ended_at": stamp(reader.ended_at) if reader.ended_at is not None else None,
        "invocation": reader.invocation,
    }


def _readable(unit: str) -> None:
    """Raise PartError ``absent`` where no journal is kept, ``privilege`` where it may not be read.

    With JSON, journalctl says nothing of files that it may not read and exits with 0: no line is a fact only where the
    journal of the system, which holds what systemd says of units, can be opened.
    """
    denied = False
    for folder in FOLDERS:
        try:
            files = [os.path.join(folder, machine, "system.journal") for machine in os.listdir(folder)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            denied = True
            continue
        for path in files:
            try:
                os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError:
                denied = True
            else:
                return
    if denied:
        raise _hidden(unit)
    raise PartError("absent", "this host keeps no journal")


def _hidden(unit: str) -> PartError:
    return PartError("privilege", f"the journal of {unit} is hidden from this user; run with become")
