# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of one fault: the disk, the files on it, the signing state, the key."""

from __future__ import annotations

from tests.recorded.case import EVERY, OURS, ROOT, ROUNDS_RISE, SYMPTOM, Case, halted, on_each

VH1 = ("vh1",)


def _wal_back(host: str) -> tuple[tuple[str, str], ...]:
    return (("stop_node", host), ("put_wal_back", host), ("start_node", host))


CASES = (
    halted(
        "inodes",
        "no inode is free on its disk",
        (("fault", "inodes", "vh1"),),
        causes={"disk_full": ROOT, "consensus_failure": SYMPTOM},
        withheld=VH1,
    ),
    halted(
        "read-only",
        "an error of its disk, after which the kernel lets nobody write",
        (("fault", "read-only", "vh1"),),
        causes={"disk_unwritable": ROOT},
        withheld=VH1,
    ),
    halted(
        "read-only-remount",
        "its disk was remounted read-only, and the node restarted",
        (("fault", "read-only", "vh1", "remount"),),
        causes={"disk_unwritable": ROOT, "processes_down": SYMPTOM},
        withheld=VH1,
    ),
    halted(
        "database-damaged",
        "a manifest of a database is cut",
        (("fault", "damage", "vh1", "manifest"),),
        causes={"database_damaged": ROOT, "processes_down": SYMPTOM},
        withheld=VH1,
    ),
    halted(
        "wal-lost-all",
        "all lose their WAL while the rounds rise: nobody may vote any more",
        (
            *ROUNDS_RISE,
            # A single node that kept the votes of the rounds would hand them to all others.
            *on_each("stop", EVERY),
            *on_each("wal-lost", EVERY),
            ("heal", "all", "reject"),
        ),
        causes={"wal_lost": ROOT, "others_missing": ROOT},
        plan=tuple(step for host in OURS for step in _wal_back(host)),
    ),
    Case(
        "wal-lost-running",
        "a small validator lost its WAL, blocks come",
        (("fault", "wal-lost", "vh4"), ("sleep", "20")),
        "healthy",
        {"not_halted": ROOT},
    ),
    Case(
        "wal-damaged",
        "the WAL of a small validator is damaged, blocks come",
        (("fault", "damage", "vh4", "wal"), ("sleep", "20")),
        "healthy",
        {"not_halted": ROOT},
    ),
    halted(
        "wal-unwritable",
        "its WAL belongs to root, so it dies at every start",
        (("fault", "damage", "vh1", "wal-owner"),),
        causes={"wal_damaged": ROOT, "processes_down": SYMPTOM},
        withheld=VH1,
    ),
    halted(
        "disk-full-old-logs",
        "no byte is free on its disk, where 300 MB of old log files lie",
        (("fault", "old-logs", "vh1"), ("fault", "disk-full", "vh1")),
        causes={"disk_full": ROOT, "consensus_failure": SYMPTOM},
        withheld=VH1,
    ),
    halted(
        "signing-state-missing",
        "its signing state is away: it exits at every start",
        (("fault", "signing-state", "vh1", "missing"),),
        causes={"signing_state_missing": ROOT, "processes_down": SYMPTOM},
        withheld=VH1,
    ),
    halted(
        "signing-state-ahead",
        "its signing state is 100000 heights ahead: it runs and never signs",
        (("fault", "signing-state", "vh1", "ahead"),),
        causes={"signing_state_ahead": ROOT},
        withheld=VH1,
    ),
    halted(
        "signing-state-behind",
        "stopped, and its signing state is 5 heights behind its votes",
        (("fault", "signing-state", "vh1", "behind"),),
        causes={"signing_state_behind": ROOT, "processes_down": SYMPTOM},
        withheld=VH1,
    ),
    Case(
        "clone",
        "the sentry runs with a validator's key, blocks come",
        (("fault", "clone", "vs1", "vh2"), ("sleep", "20")),
        "degraded",
        {"not_halted": ROOT, "key_on_two_hosts": ROOT},
    ),
    Case(
        "double-signed",
        "the sentry signs with a validator's key beside it: the chain has put the validator out for good",
        (("fault", "clone", "vs1", "vh2", "signs"), ("sleep", "60")),
        "degraded",
        {"not_halted": ROOT, "key_on_two_hosts": ROOT, "removed_from_set": ROOT},
    ),
    halted(
        "clone-halted",
        "the same, and another validator is stopped",
        (("fault", "clone", "vs1", "vh2"), ("sleep", "15"), ("fault", "stop", "vh1")),
        causes={"key_on_two_hosts": ROOT, "processes_down": ROOT},
    ),
    halted(
        "signer",
        "it waits for a remote signer that never comes, exits and is started again",
        (("fault", "signer", "vh1"),),
        causes={"remote_signer": ROOT, "processes_down": SYMPTOM},
        withheld=VH1,
    ),
)
