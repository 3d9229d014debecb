# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an incident on the controller's disk, and the state of one run. PRIVATE to the collection."""

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

from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal, now
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain

JOURNAL = "journal.jsonl"


def _write(path: str, text: str) -> None:
    """Write by rename, so that a killed run leaves the old file or the new one, never half of one."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


class RunState:
    """What one run hands from task to task: a private directory, gone when the run closes.

    Tasks of a run are separate processes, so this cannot live in memory; it holds no decision, only data.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        if not os.path.isfile(os.path.join(path, "run.json")):
            raise Refusal(
                "No run has been opened. Start the playbook from its beginning: an incident's steps do nothing alone."
            )
        self.facts: dict[str, t.Any] = self.read("run")

    @classmethod
    def create(cls, facts: dict[str, t.Any]) -> RunState:
        path = tempfile.mkdtemp(prefix="virtengine-incident-")
        with open(os.path.join(path, "run.json"), "w", encoding="utf-8") as stream:
            json.dump(facts, stream)
        return cls(path)

    def read(self, name: str) -> t.Any:
        """The JSON kept under a name, or None where nothing was kept."""
        try:
            with open(os.path.join(self.path, f"{name}.json"), encoding="utf-8") as stream:
                return json.load(stream)
        except FileNotFoundError:
            return None

    def keep(self, name: str, value: t.Any) -> None:
        _write(os.path.join(self.path, f"{name}.json"), json.dumps(value))

    def remove(self) -> None:
        for name in os.listdir(self.path):
            os.unlink(os.path.join(self.path, name))
        os.rmdir(self.path)

    def record(self) -> Record:
        """This run's record: a directory on disk, or one that keeps nothing (check mode, replay, nowhere to write)."""
        return Record(self.facts.get("record_path"), self.facts["run"])


def incident_id(verdict: dict[str, t.Any]) -> str:
    """The name two jobs agree on: chain, stuck height, start of the last block's hash."""
    parts = [verdict.get("chain_id") or "unknown-chain", str(verdict.get("height") or 0)]
    if verdict.get("last_block_hash"):
        parts.append(str(verdict["last_block_hash"])[:8])
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(parts)).lstrip(".") or "unknown"


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
                # A killed run leaves half a line. It is kept as evidence beside the journal and cut off the chain.
                _write(os.path.join(self.path, f"torn-{self.run}.txt"), lines[-1])
                _write(journal, "".join(f"{line}\n" for line in lines[:-1]))
            entry = hash_chain.entry(head.hash, head.seq + 1, now(), self.run, kind, data)
            with open(journal, "a", encoding="utf-8") as stream:
                stream.write(hash_chain.line(entry) + "\n")
                stream.flush()
                os.fsync(stream.fileno())

    def evidence(self, name: str, bundle: dict[str, t.Any]) -> None:
        """Keep a bundle beside the journal and chain its hash."""
        if self.path is None:
            return
        text = json.dumps(bundle, sort_keys=True, separators=(",", ":"))
        _write(os.path.join(self.path, name), text)
        self.append("evidence", {"file": name, "sha256": hashlib.sha256(text.encode()).hexdigest()})

    def write(self, name: str, text: str) -> str | None:
        if self.path is None:
            return None
        target = os.path.join(self.path, name)
        _write(target, text)
        return target

    def read_json(self, name: str) -> t.Any:
        if self.path is None:
            return None
        try:
            with open(os.path.join(self.path, name), encoding="utf-8") as stream:
                return json.load(stream)
        except (OSError, ValueError):
            return None

    def head(self) -> str | None:
        return hash_chain.verify(self._lines()).hash if self.path is not None else None

    def entries(self) -> list[dict[str, t.Any]]:
        """Every whole entry, oldest first."""
        entries = []
        for line in self._lines() if self.path is not None else []:
            with contextlib.suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if (
                    isinstance(entry, dict)
                    and {"at", "run", "kind"} <= set(entry)
                    and isinstance(entry.get("data"), dict)
                ):
                    entries.append(entry)
        return entries

    def _lines(self) -> list[str]:
        try:
            # What is no text is no journal either: the chain then says where it breaks.
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

    ``silent_s``: seconds since the newest entry of the runs that used it, or of all where none says that it did.
    """

    incident: str
    plan: dict[str, t.Any]
    outcome: str | None
    silent_s: int


def find_plan(directory: str, digest: str) -> Recorded | None:
    """Look the plan of a digest up in the records of all incidents."""
    if _plan.invalid_digest(digest):
        return None
    try:
        incidents = sorted(os.listdir(directory))
    except OSError:
        return None
    for incident in incidents:
        record = Record(os.path.join(directory, incident), "reader")
        plan = record.read_json(f"plan-{digest}.json")
        if not _is_plan_of(plan, digest):
            continue
        entries = record.entries()
        used = {e["run"] for e in entries if e["kind"] == "approved" and e["data"].get("digest") == digest}
        outcomes = [str(e["data"].get("outcome")) for e in entries if e["kind"] == "run_finished" and e["run"] in used]
        told = [entry for entry in entries if entry["run"] in used] or entries
        newest = max((_bundle.seconds(entry["at"]) or 0.0 for entry in told), default=None)
        silent = 0 if newest is None else max(0, int((_bundle.seconds(now()) or newest) - newest))
        return Recorded(incident, plan, outcomes[-1] if outcomes else None, silent)
    return None


def _is_plan_of(plan: t.Any, digest: str) -> bool:
    """A plan file may have been changed; the digest that a person gave back is what they approved."""
    try:
        return isinstance(plan, dict) and _plan.digest(plan) == digest
    except (KeyError, TypeError, ValueError):
        return False
