# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes seen in the server itself and on its host. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ...._path.evidence.values import integer
from ...._path.verdict.cause import HOLDS, Cause, Finding, cannot_tell, refuted
from .. import impact
from ..reading import Database, Reading
from .asked import Hit, asked, needs_host, needs_server

# An age of a database from which the server forces vacuum, and is two thirds of the way to refusing writes (2^31).
WRAPAROUND_AGE = 1_500_000_000
# An inactive slot that retains more than this fills a disk sooner or later.
SLOT_BYTES = 1024**3


def _seen(database: Database) -> str:
    """What is missing where neither a session nor the reason of a refusal says what state the server is in."""
    if database.error:
        return database.error[1]
    kind, text = database.problem("server")
    return "" if database.server is not None or kind in ("refused", "starting", "stopping", "exhausted") else text


def _stopped(database: Database) -> t.Optional[Hit]:
    processes = database.part("processes")
    if database.problem("server")[0] != "refused" or processes is None or processes.get("postmaster") is not None:
        return None
    unit = database.unit("postgresql@") or database.unit("postgresql") or {}
    return Hit(
        f"no server process runs (its unit is {unit.get('active_state', 'not known')}), and the connection is refused"
    )


def _starting(database: Database) -> t.Optional[Hit]:
    kind, text = database.problem("server")
    if kind not in ("starting", "stopping"):
        return None
    return Hit(text, explained="killed" in database.lines or "crashed" in database.lines)


def _standby(database: Database) -> t.Optional[Hit]:
    felt = impact.impacts(database).get(impact.READ_ONLY)
    return Hit(felt) if felt else None


def _no_space(database: Database) -> t.Optional[Hit]:
    felt = impact.impacts(database).get(impact.NO_SPACE)
    share, inodes = database.free_share(), database.free_share("inodes")
    if felt is None and "no_space" in database.marks:
        return Hit(
            "the server found no space left a moment ago, and the data directory has room: look at pg_wal and tablespaces"
        )
    if felt is None:
        return None
    room = (
        f"{share:.1%} of its bytes and {inodes:.1%} of its inodes are free"
        if share is not None and inodes is not None
        else ""
    )
    return Hit(f"{felt}: {room}" if room else felt)


def _killed(database: Database) -> t.Optional[Hit]:
    mark = database.lines.get("killed")
    if mark is None:
        return None
    text = f"a process of the server was killed (signal 9) at {mark.get('last_at')}, and all sessions ended with it"
    memory = database.part("memory") or {}
    room, total = integer(memory.get("available_bytes")), integer(memory.get("bytes"))
    left = f"; {room // 2**20} of {total // 2**20} MiB of memory are available" if room is not None and total else ""
    past = "killed" not in database.marks or not {impact.DOWN, impact.FULL} & set(impact.impacts(database))
    return Hit(text + left, symptom=past, explained=past)


def _wraparound(database: Database) -> t.Optional[Hit]:
    old = max(database.rows("databases"), key=lambda row: integer(row.get("age")) or 0, default={})
    age = integer(old.get("age")) or 0
    if age < WRAPAROUND_AGE and "wraparound" not in database.lines:
        return None
    return Hit(f"database {old.get('name')} has an age of {age} of 2147483648 transactions")


def _slot(database: Database) -> t.Optional[Hit]:
    for row in database.rows("slots"):
        retained = integer(row.get("retained_bytes")) or 0
        if row.get("active") is False and (
            retained >= SLOT_BYTES or (retained and impact.NO_SPACE in impact.impacts(database))
        ):
            return Hit(f"slot {row.get('name')} is not used and retains {retained // 2**20} MiB of WAL")
    return None


def _not_database(reading: Reading) -> Finding:
    unseen = [database for database in reading.databases if database.server is None or not database.sees_all]
    felt = {kind: text for database in reading.databases for kind, text in impact.impacts(database).items()}
    if felt:
        return refuted(next(iter(felt.values())))
    if unseen or not reading.databases:
        return cannot_tell("not every database was seen")
    used = ", ".join(f"{database.host}: {database.used} of {database.limit} in use" for database in reading.databases)
    return Finding(HOLDS, f"nobody is refused, waits for a lock or for a pool ({used})", symptom=True)


CAUSES = (
    Cause(
        id="server_stopped",
        title="server does not run",
        statement="The server does not run",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_stopped, _seen, "the server runs"),
        signs="The connection is refused, and the host shows no process of a server.",
        by_hand=("pg_lsclusters", "systemctl status 'postgresql@*'"),
        next="Read the end of the server's log on {hosts} before you start it.",
        decide="Operator decision: whoever stopped it may have had a reason, and a start after a crash replays its WAL.",
    ),
    Cause(
        id="server_starting",
        title="server starts, recovers or stops",
        statement="The server lets nobody in while it starts, recovers after a crash, or shuts down",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_starting, _seen, "the server lets clients in"),
        signs="It answers with SQLSTATE 57P03.",
        by_hand=("tail -n 20 /var/log/postgresql/*.log",),
        next="Wait while it replays: its log shows the progress. A restart begins the replay anew.",
        decide="Operator decision: nothing but waiting is right while the log moves.",
    ),
    Cause(
        id="standby_written",
        title="applications write to a standby",
        statement="Applications write to a server that only reads",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_standby, needs_server, "no write was refused because the server only reads"),
        signs="The server is in recovery or read-only by its settings, and its log refuses writes in the last two minutes.",
        by_hand=('psql -c "SELECT pg_is_in_recovery()"',),
        next="Point the applications at the primary. Promote a standby only where the old primary is certainly gone.",
        decide="Operator decision: two primaries lose data.",
    ),
    Cause(
        id="no_space",
        title="disk of the database is full",
        statement="The file system of the data directory is full",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_no_space, needs_host("disk"), "the file system of the data directory has room"),
        signs="Less than 1 % of bytes or inodes are free, or the server's log says so in the last two minutes.",
        by_hand=("df -h /var/lib/postgresql", "du -xsh /var/lib/postgresql/*/*/pg_wal"),
        next="Make room beside the database on {hosts} or extend the file system. Never delete files of pg_wal.",
        decide="Operator decision: what may be deleted is not known here.",
        lasting=True,
    ),
    Cause(
        id="backend_killed",
        title="server process killed",
        statement="A process of the server was killed, and the server ended all sessions to recover",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_killed, needs_host("log"), "the log shows no process that was killed"),
        signs="The log has: was terminated by signal 9. With journalctl -k that names postgres it was the OOM killer.",
        by_hand=("journalctl -k --since -1h | grep -i 'killed process'",),
        next="See in the kernel's log whether memory ran out on {hosts}; then lower work_mem x connections.",
        decide="Operator decision: how the memory of the host is shared out.",
    ),
    Cause(
        id="wraparound",
        title="transaction ids run out",
        statement="A database is close to the end of its transaction ids, and vacuum has to be done first",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_wraparound, needs_server, "no database is old in transactions"),
        signs="age(datfrozenxid) above 1.5 thousand million, or the server's own warning.",
        by_hand=('psql -c "SELECT datname, age(datfrozenxid) FROM pg_database ORDER BY 2 DESC"',),
        next="Find what holds vacuum back: old transactions, prepared ones, slots, or a relation on which it fails.",
        decide="Operator decision: enabling autovacuum does not help where it is on and fails.",
        lasting=True,
    ),
    Cause(
        id="inactive_slot",
        title="replication slot nobody reads",
        statement="A replication slot that nobody reads makes the server keep its WAL",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_slot, needs_server, "no unused replication slot retains much WAL"),
        signs="pg_replication_slots: active is false and more than 1 GiB is retained.",
        by_hand=('psql -c "SELECT slot_name, active, restart_lsn FROM pg_replication_slots"',),
        next="Prove that its consumer is gone for good before you drop it.",
        decide="Operator decision: a replica that is only down needs its slot to come back.",
        lasting=True,
    ),
    Cause(
        id="not_the_database",
        title="the database serves",
        statement="The database serves: nobody is refused or waits",
        runbook_step="6",
        severity=None,
        predicate=_not_database,
        signs="No impact at any database, and all of them were read.",
        by_hand=("psql -c 'SELECT 1'",),
        next="If applications still report trouble with connections, look at their own pools, the network and DNS.",
    ),
)
