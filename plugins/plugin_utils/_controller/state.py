# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one run: what its tasks hand on to each other. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import typing as t

from .base import Refusal
from .record import Record, write_whole


class RunState:
    """A private directory, gone when the run closes. It holds no decision, only data.

    Tasks of a run are separate processes, so this cannot live in memory. What a task learns on one host is noted in a
    file of its own, because all hosts of a task write at once.
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
        write_whole(os.path.join(self.path, f"{name}.json"), json.dumps(value))

    def note(self, kind: str, host: str, value: t.Any) -> None:
        """Add a value to what is noted of one kind about a host; for the process that works on this host."""
        line = json.dumps({"host": host, "value": value})
        with open(os.path.join(self.path, f"{kind}-{_short(host)}.jsonl"), "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def noted(self, kind: str) -> dict[str, list[t.Any]]:
        """What was noted of one kind: host -> values in their order."""
        values: dict[str, list[t.Any]] = {}
        for name in sorted(os.listdir(self.path)):
            if name.rpartition("-")[0] == kind and name.endswith(".jsonl"):
                with open(os.path.join(self.path, name), encoding="utf-8") as stream:
                    for entry in map(json.loads, stream):
                        values.setdefault(entry["host"], []).append(entry["value"])
        return values

    def remove(self) -> None:
        for name in os.listdir(self.path):
            os.unlink(os.path.join(self.path, name))
        os.rmdir(self.path)

    def record(self) -> Record:
        """This run's record: a directory on disk, or one that keeps nothing (check mode, replay, nowhere to write)."""
        return Record(self.facts.get("record_path"), self.facts["run"])


def _short(host: str) -> str:
    """A file name for any host name."""
    return hashlib.sha256(host.encode("utf-8", "surrogatepass")).hexdigest()[:16]
