# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL library without a server, and a PgBouncer whose state lies in files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import login

Rows = Optional[list[dict[str, Any]]]
Answer = Callable[[str, Any], Rows]

# A host by TCP: for it nobody becomes another user, whoever runs the tests.
FOUND = {"host": "db.example.org", "user": "monitor", "dbname": "postgres"}
DIGEST, OTHER = "database_connections-0123456789abcdef", "database_connections-fedcba9876543210"


class Failed(Exception):
    """What a library raises; ``codes`` are pgcode (psycopg2) or sqlstate (psycopg)."""

    def __init__(self, text: str, **codes: str | None) -> None:
        super().__init__(text)
        vars(self).update(codes)


class Library:
    """As much of psycopg as a session needs. ``answer`` returns the rows of a statement, or raises."""

    def __init__(self, answer: Answer, refuses: Exception | None = None) -> None:
        self.answer = answer
        self.refuses = refuses
        self.logins: list[dict[str, Any]] = []
        self.sent: list[tuple[str, Any]] = []
        self.closed = 0

    def connect(self, **found: Any) -> _Connection:
        self.logins.append(found)
        if self.refuses:
            raise self.refuses
        return _Connection(self)


class _Connection:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.autocommit = False

    def cursor(self) -> _Cursor:
        assert self.autocommit, "a transaction would stay open"
        return _Cursor(self.library)

    def close(self) -> None:
        self.library.closed += 1


class _Cursor:
    description: list[tuple[str, None]] | None = None

    def __init__(self, library: Library) -> None:
        self.library = library
        self.rows: list[dict[str, Any]] = []

    def __enter__(self) -> _Cursor:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def execute(self, statement: str, values: Any = None) -> None:
        # The library replaces what is named, and fails where it gets no value.
        named = set(re.findall(r"%\((\w+)\)s", statement))
        assert named <= set(values) if named else statement.count("%s") == len(values or []), statement
        self.library.sent.append((statement, values))
        rows = self.library.answer(statement, values)
        self.rows = rows or []
        self.description = None if rows is None else [(name, None) for name in (rows[0] if rows else ("none",))]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.rows]


def put(monkeypatch: Any, library: Library) -> Library:
    """Let the modules log in with this library."""
    monkeypatch.setattr(login.postgres, "psycopg", library)
    monkeypatch.setattr(login.postgres, "HAS_PSYCOPG", True)
    return library


class PgBouncer:
    """The console. Each session may run in another process, so what it is told lies in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "etc" / "pgbouncer.ini"

    def begin(self, text: str, size: int = 10, **paused: int) -> PgBouncer:
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_bytes(text.encode())
        self._store({"size": size, "paused": paused, "all": False})
        (self.folder / "sent").write_text("")
        return self

    def sent(self) -> list[str]:
        """What was told the console, questions left out."""
        lines = (self.folder / "sent").read_text().splitlines()
        return [line for line in lines if not line.startswith("SHOW ")]

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "state").read_text()))

    def _store(self, state: dict[str, Any]) -> None:
        (self.folder / "state").write_text(json.dumps(state))

    def answer(self, statement: str, _values: Any = None) -> Rows:
        with (self.folder / "sent").open("a") as stream:
            stream.write(f"{statement}\n")
        state = self.state()
        if statement == "SHOW CONFIG":
            return [{"key": "default_pool_size", "value": str(state["size"]), "changeable": "yes"}]
        if statement == "SHOW DATABASES":
            return [{"name": name, "paused": paused} for name, paused in state["paused"].items()]
        if statement == "RELOAD":
            section = self.file.read_text().partition("[pgbouncer]")[2].partition("\n[")[0]
            state["size"] = int(re.findall(r"(?m)^\s*default_pool_size\s*=\s*(\d+)", section)[-1])
        elif statement in ("PAUSE", "RESUME"):
            if state["all"] == (statement == "PAUSE"):
                raise Failed("already suspended/paused" if state["all"] else "pooler is not paused/suspended")
            state["all"] = statement == "PAUSE"
        else:
            word, name = statement.split(" ")
            state["paused"][name.strip('"')] = int({"PAUSE": True, "RESUME": False}[word])
        self._store(state)
        return None
