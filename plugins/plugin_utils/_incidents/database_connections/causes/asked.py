# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cause about databases answers: it is asked of each, and what could not be read is never taken for calm. PRIVATE."""

from __future__ import annotations

import typing as t

from ...._path.text import clean
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from ..reading import Database, Reading

NO_POOLER = "no pooler answers here, and no unit of one is there"


class Hit(t.NamedTuple):
    """What shows a cause at one database. ``weight``: sessions or clients that it costs."""

    because: str
    weight: int = 1
    symptom: bool = False
    explained: bool = False


Test = t.Callable[[Database], t.Optional[Hit]]
Needs = t.Callable[[Database], str]


def needs_server(database: Database) -> str:
    """What is missing for a cause that is read in the server's sessions; empty: nothing."""
    if database.server is None:
        identity = (database.part("server") or {}).get("identity")
        failed = identity.get("error") if isinstance(identity, dict) else None
        own = clean(failed.get("text")) if isinstance(failed, dict) else ""
        return database.problem("server")[1] or own or (database.error or ("", "nothing was read"))[1]
    if database.missed("sessions") or database.missed("settings"):
        return "the server did not show its sessions and settings, or not all of them"
    return "" if database.sees_all else "the login does not see other roles' sessions: grant it pg_monitor"


def needs_waits(database: Database) -> str:
    """The same, for who waits for whom."""
    return needs_server(database) or (
        "the server did not show who waits for whom, or not all" if database.missed("waits") else ""
    )


def needs_pooler(database: Database) -> str:
    """The same, for the pooler's console. Where there is no pooler, or none was named, nothing is missing."""
    kind, text = database.problem("pooler")
    if database.error:
        return database.error[1]
    units = database.part("units")
    absent = kind in ("refused", "absent") and units is not None and database.unit("pgbouncer") is None
    asked_for = database.parts.get("pooler") is not None
    return "" if not asked_for or database.part("pooler") is not None or absent else text or "the pooler shows nothing"


def needs_all(database: Database) -> str:
    """What is missing to call a database well: each part in which nothing but its absence shows an impact.

    A log that is elsewhere, or in the journal, is named by the causes that are read in it, and is no reason to know nothing.
    """
    unread = [name for name in ("waits", "prepared", "databases", "roles", "slots") if database.missed(name)]
    hidden = (database.problem(name) for name in ("disk", "log"))
    seen = needs_server(database) or needs_pooler(database)
    if not seen and unread:
        return f"the server did not show, or not whole: {', '.join(unread)}"
    return seen or next((text for kind, text in hidden if kind not in ("", "absent")), "")


def needs_host(*names: str) -> Needs:
    """The same, for parts that the host shows."""

    def missing(database: Database) -> str:
        if database.error:
            return database.error[1]
        lacks = [name for name in names if database.part(name) is None]
        return f"the host did not show: {', '.join(lacks)}" if lacks else ""

    return missing


def asked(test: Test, needs: Needs, otherwise: str) -> t.Callable[[Reading], Finding]:
    """A predicate that asks ``test`` of every database. ``otherwise``: what is seen where none shows the cause."""

    def predicate(reading: Reading) -> Finding:
        hits = {database.host: hit for database in reading.databases if (hit := test(database)) is not None}
        if hits:
            return Finding(
                HOLDS,
                "; ".join(f"on {host}, {hit.because}" for host, hit in hits.items()),
                sum(hit.weight for hit in hits.values()),
                tuple(hits),
                symptom=all(hit.symptom for hit in hits.values()),
                explained=all(hit.explained for hit in hits.values()),
            )
        lacks = {database.host: text for database in reading.databases if (text := needs(database))}
        if lacks:
            return cannot_tell("; ".join(f"{host}: {text}" for host, text in lacks.items()))
        return refuted(otherwise)

    return predicate
