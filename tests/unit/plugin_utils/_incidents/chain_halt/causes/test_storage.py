# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes on the disk: space, rights, databases, the write-ahead log."""

from __future__ import annotations

import pytest

from tests.unit.plugin_utils._incidents.chain_halt.causes.asking import (
    ROOT,
    SYMPTOM,
    Answer,
    Holds,
    Make,
    Open,
    Refuted,
    Table,
    check,
    table,
)
from tests.unit.plugin_utils._incidents.chain_halt.causes.fleets import (
    EVERY,
    blocked,
    change,
    journal,
    lost,
    part,
    says,
    stored,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import at, four

FULL = part("disk", free_bytes=4096)
NO_INODES = part("disk", inodes_free=0)
READ_ONLY = part("disk", read_only=True)
BACKUP = {"name": "cs.wal.bak", "bytes": 9, "newest_at": at(-5), "last_end_height": 208}
COPY = part("wal", copies=[BACKUP])
GONE = part("wal", present=False, copies=[BACKUP])

ROWS: Table = {
    "disk_full": [
        (
            "lives",
            lambda: blocked("mute", "disk_full", patches=[stored]),
            Holds(ROOT, 40, "vh1", "no space left on device"),
        ),
        (
            "cannot start",
            lambda: blocked("crash_loop", "disk_full_start"),
            Holds(ROOT, 40, "vh1", "no space left on device"),
        ),
        ("said by nobody", lambda: blocked("stopped", patches=[FULL]), Holds(ROOT, 40, "vh1", "4096 bytes are free")),
        ("inodes", lambda: blocked("mute", patches=[NO_INODES]), Holds(ROOT, 40, "vh1", "0 inodes are free")),
        (
            "inodes that a file system does not count",
            lambda: blocked("mute", patches=[part("disk", inodes=0, inodes_free=0)]),
            Refuted(),
        ),
        (
            "a full node",
            lambda: change(four(["voting"] * 4 + ["crash_loop"], moving=True), "vh5", marks=says("disk_full_start")),
            Holds(ROOT, 0, "vh5", "no voting power is lost by that"),
        ),
        (
            "said before the newest block, and it is mute",
            lambda: blocked("mute", "disk_full"),
            Holds(ROOT, 40, "vh1", ""),
        ),
        ("room", lambda: blocked("stopped"), Refuted()),
        (
            "freed since a run before",
            lambda: change(four(["stopped"]), "vh1", marks=says("disk_full", current=False)),
            Refuted(),
        ),
        ("not seen", lambda: blocked("stopped", patches=[lost("disk")]), Open("its file system cannot be seen")),
        (
            "full, and it votes",
            lambda: change(four(["stopped"]), "vh2", FULL),
            Open("vh2, voting: 4096 bytes are free"),
        ),
        ("no journal", lambda: blocked("stopped", patches=[lost("journal")]), Open()),
    ],
    "disk_unwritable": [
        ("mounted so", lambda: blocked("mute", patches=[READ_ONLY]), Holds(ROOT, 40, "vh1", "is read-only")),
        ("says so", lambda: blocked("mute", "read_only"), Holds(ROOT, 40, "vh1", "read-only file system")),
        ("fails", lambda: blocked("crash_loop", "io_error"), Holds(ROOT, 40, "vh1", "input/output error")),
        ("writable", lambda: blocked("stopped"), Refuted()),
        ("full, not read-only", lambda: blocked("mute", "disk_full"), Refuted()),
        ("not seen", lambda: blocked("mute", patches=[lost("disk")]), Open()),
        ("read-only, and it votes", lambda: change(four(["stopped"]), "vh2", READ_ONLY), Open("vh2, voting")),
    ],
    "database_damaged": [
        ("a table", lambda: blocked("crash_loop", "table"), Holds(ROOT, 40, "vh1", "corruption on table-footer")),
        ("a manifest", lambda: blocked("failed", "manifest"), Holds(ROOT, 40, "vh1", "manifest corrupted")),
        ("a version", lambda: blocked("crash_loop", "version"), Holds(ROOT, 40, "vh1", "version does not exist")),
        (
            "a real journal",
            lambda: change(four(["failed"]), "vh1", marks=journal("appdb-corrupt")),
            Holds(ROOT, 40, "vh1", "leveldb"),
        ),
        (
            "a real journal of another fault",
            lambda: change(four(["crash_loop"]), "vh1", marks=journal("panic-state-db")),
            Refuted(),
        ),
        ("nothing said", lambda: blocked("crash_loop"), Refuted()),
        ("no journal", lambda: blocked("crash_loop", patches=[lost("journal")]), Open()),
    ],
    "wal_lost": [
        (
            "lives",
            lambda: blocked("mute", "wal_missing", "round_regression", patches=[COPY]),
            Holds(ROOT, 40, "vh1", "beside it is cs.wal.bak"),
        ),
        (
            "on all: a deadlock without another message",
            lambda: change(four(["mute"] * 4), EVERY, marks=says("wal_missing", "round_regression")),
            Holds(ROOT, 100, "vh1 vh2 vh3 vh4", "the write-ahead log of this height is gone"),
        ),
        ("taken away after the stop", lambda: blocked("stopped", patches=[GONE]), Holds(ROOT, 40, "vh1", "cs.wal.bak")),
        ("it signs again", lambda: blocked("mute", "wal_missing"), Open("it may not be the one of this height")),
        ("another regression", lambda: blocked("mute", "wal_missing", "height_regression"), Open()),
        ("copies, and nothing is missing", lambda: blocked("stopped", patches=[COPY]), Refuted()),
        (
            "a harmless burst after a rollback",
            lambda: change(four(["stopped"]), "vh2", marks=says("round_regression")),
            Refuted(),
        ),
        ("no journal", lambda: blocked("mute", patches=[lost("journal")]), Open()),
    ],
    "wal_damaged": [
        ("cannot write", lambda: blocked("mute", "wal_write"), Holds(ROOT, 40, "vh1", "msg to consensus WAL due to")),
        (
            "a real journal: damaged, and it went on",
            lambda: change(four(["stopped"]), "vh2", marks=journal("wal-damage-ignored")),
            Refuted(),
        ),
        (
            "a real journal: repaired by itself",
            lambda: change(four(["stopped"]), "vh2", marks=journal("wal-repaired")),
            Refuted(),
        ),
        ("no journal", lambda: blocked("failed", patches=[lost("journal")]), Open()),
    ],
}


@pytest.mark.parametrize(("cause", "make", "answer"), table(ROWS))
def test_told(cause: str, make: Make, answer: Answer) -> None:
    check(cause, make(), answer)


def test_of_two_faults_on_one_host_the_second_is_not_refuted() -> None:
    """The first cause in order has the host; whether the other would hold without it cannot be told."""
    fleet = blocked("crash_loop", "table", patches=[FULL])
    check("disk_full", fleet, Holds(ROOT, 40, "vh1", "4096 bytes are free"))
    check("database_damaged", fleet, Open("vh1, crashed"))


def test_beside_a_halt_it_is_a_symptom_that_asks_for_nothing() -> None:
    """Enough power votes, and rounds end: a full disk on 10 of 100 stops nobody."""
    fleet = change(four(["voting"] * 3 + ["mute"]), "vh4", marks=says("disk_full"))
    verdict = check("disk_full", fleet, Holds(SYMPTOM, 10, "vh4", "that is not what stops the chain"))
    assert next(cause for cause in verdict["causes"] if cause["id"] == "disk_full")["justifies"] == []
