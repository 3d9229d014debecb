# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an incident on the controller's disk. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
import typing as t

from .._path.evidence.values import seconds, stamp
from .._path.plan import plan as _plan
from .._path.record import hash_chain
from .base import Refusal, now

JOURNAL = "journal.jsonl"
# What a reader of an entry relies on.
_ENTRY = {"at": str, "run": str, "kind": str, "data": dict}


def write_whole(path: str, text: str) -> None:
    """Write by rename, so that a killed run leaves the old file or the new one, never half of one."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def record_name(incident: str, subject: str, started_at: str) -> str:
    """The name of a record: incident, subject and start, to the second. Two runs over the same incident agree on it.

    Subject and start may come from a host: what cannot stand in a file name becomes ``_``. A subject that loses more than
    its spaces that way gets a hash behind it, so that two subjects never share a record.
    """
    name = re.sub(r"[^A-Za-z0-9.-]|\.(?=\.)", "_", subject)[:80]
    if name.replace("_", " ") != subject:
        name += f"-{_hash(subject)[:8]}"
    at = stamp(seconds(started_at)) or _hash(started_at)[:16]
    return f"{incident}-{name}-{re.sub('[-:]', '', at)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Record:
    """Append-only, hash-chained journal with files beside it. With no path it keeps nothing."""

    def __init__(self, path: str | None, run: str) -> None:
        self.path = path
        self.run = run

    @property
    def kept(self) -> bool:
        return self.path is not None

    def append(self, kind: str, data: dict[str, t.Any]) -> None:
        """Add an entry and force it to the disk before going on."""
        if self.path is None:
            return
        with self._locked():
            journal = os.path.join(self.path, JOURNAL)
            lines = self._lines()
            try:
                head = hash_chain.verify(lines)
            except hash_chain.BrokenRecord as broken:
                raise Refusal(
                    f"The record {journal} was changed: {broken}. Move the directory away and run again; nothing was done."
                ) from broken
            if head.torn:
                # A killed run leaves half a line. It is kept as evidence beside the journal and cut off there.
                write_whole(os.path.join(self.path, f"torn-{self.run}.txt"), lines[-1])
                write_whole(journal, "".join(f"{line}\n" for line in lines[:-1]))
            entry = hash_chain.entry(head.hash, head.seq + 1, now(), self.run, kind, data)
            with open(journal, "a", encoding="utf-8") as stream:
                stream.write(hash_chain.line(entry) + "\n")
                stream.flush()
                os.fsync(stream.fileno())

    def evidence(self, name: str, bundle: dict[str, t.Any]) -> None:
        """Keep a bundle beside the journal, and its hash in it."""
        if self.path is None:
            return
        text = json.dumps(bundle, sort_keys=True, separators=(",", ":"))
        write_whole(os.path.join(self.path, name), text)
        self.append("evidence", {"file": name, "sha256": hashlib.sha256(text.encode()).hexdigest()})

    def write(self, name: str, text: str) -> str | None:
        if self.path is None:
            return None
        target = os.path.join(self.path, name)
        write_whole(target, text)
        return target

    def read_json(self, name: str) -> t.Any:
        if self.path is None:
            return None
        try:
            with open(os.path.join(self.path, name), encoding="utf-8") as stream:
                return json.load(stream)
        except (OSError, ValueError, RecursionError):
            return None

    def head(self) -> str | None:
        return hash_chain.verify(self._lines()).hash if self.path is not None else None

    def entries(self) -> list[dict[str, t.Any]]:
        """Every whole entry, oldest first; lines of another shape are left out."""
        entries = []
        for line in self._lines() if self.path is not None else []:
            with contextlib.suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in _ENTRY.items()):
                    entries.append(entry)
        return entries

    def _lines(self) -> list[str]:
        try:
            # What is no text is no journal either: verifying it says where it breaks.
            with open(os.path.join(self.path or "", JOURNAL), encoding="utf-8", errors="replace") as stream:
                return stream.read().splitlines()
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def _locked(self) -> t.Iterator[None]:
        """Two runs of one controller write the same journal in turn."""
        with open(os.path.join(self.path or "", ".lock"), "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def open_record(directory: str, identity: str, run: str) -> tuple[Record, str | None]:
    """Open the incident's directory. Returns the record and, where it cannot be written, why."""
    path = os.path.join(directory, identity)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        probe = os.path.join(path, f".probe-{secrets.token_hex(4)}")
        with open(probe, "w", encoding="utf-8"):
            os.unlink(probe)
    except OSError as error:
        return Record(None, run), f"{path}: {error.strerror}"
    return Record(path, run), None


class Recorded(t.NamedTuple):
    """A plan that an earlier run printed, and how the run that used its digest ended (None: none did, or it was killed).

    ``approved``: whether this record says that a run used the digest: only such a run can be resumed. ``silent_s``:
    seconds since the newest entry of the runs that used it; 0 where none did.
    """

    name: str  # of the record
    plan: dict[str, t.Any]
    outcome: str | None
    approved: bool
    silent_s: int


def find_plan(directory: str, digest: str) -> Recorded | None:
    """Look the plan of a digest up in the records of all incidents; where several hold it, the one in which it was used."""
    if _plan.invalid_digest(digest):
        return None
    try:
        records = sorted(os.listdir(directory))
    except OSError:
        return None
    unused: Recorded | None = None
    for name in records:
        record = Record(os.path.join(directory, name), "reader")
        plan = record.read_json(f"plan-{digest}.json")
        if not _plan.is_whole(plan, digest):
            continue
        entries = record.entries()
        used = {e["run"] for e in entries if e["kind"] == "approved" and e["data"].get("digest") == digest}
        outcomes = [str(e["data"].get("outcome")) for e in entries if e["kind"] == "run_finished" and e["run"] in used]
        newest = max((seconds(entry["at"]) or 0.0 for entry in entries if entry["run"] in used), default=None)
        silent = 0 if newest is None else max(0, int((seconds(now()) or newest) - newest))
        found = Recorded(name, plan, outcomes[-1] if outcomes else None, bool(used), silent)
        if used:
            return found
        unused = unused or found
    return unused
