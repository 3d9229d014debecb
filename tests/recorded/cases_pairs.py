# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of two faults at once: each is named, the one that costs more power first."""

from __future__ import annotations

from tests.recorded.case import EVERY, RESTART, ROOT, SYMPTOM, halted, on_each

DOWN = "processes_down"
GONE = "hosts_unreachable"
FAILED = "consensus_failure"
STOP_VH3 = ("fault", "stop", "vh3")
CUT_VH3 = ("fault", "cut", "vh3")
START_VH3 = (("start_node", "vh3"),)

CASES = (
    halted(
        "cut-and-disk-full",
        "one host is cut off, another's disk is full",
        (CUT_VH3, ("fault", "disk-full", "vh2")),
        causes={"disk_full": ROOT, "hosts_unreachable": ROOT},
        withheld=("vh2", "vh3"),
    ),
    halted(
        "app-hash-minority-and-stopped",
        "14 of 100 compute another app hash, and another 22 are stopped",
        (("fault", "app-hash", "vh3", "+4"), ("sleep", "15"), ("fault", "stop", "vh2")),
        causes={DOWN: ROOT, "app_hash_divergence": ROOT, FAILED: SYMPTOM},
        plan=(("start_node", "vh2"),),
        withheld=("vh3",),
    ),
    halted(
        "diverged-restarted-and-stopped",
        "the same, and the diverged node was restarted: it looks as if it were catching up",
        (
            ("fault", "app-hash", "vh3", "+4"),
            ("sleep", "15"),
            ("on", "vh3", RESTART),
            ("sleep", "15"),
            ("fault", "stop", "vh2"),
        ),
        causes={"processes_down": ROOT, "diverged_and_restarted": ROOT, "app_hash_divergence": SYMPTOM},
        plan=(("start_node", "vh2"),),
        withheld=("vh3",),
    ),
    halted(
        "double-sign-check-and-cut",
        "a start in the halt is refused by double_sign_check_height, and another host is cut off",
        (
            CUT_VH3,
            ("fault", "dsch", "vh2", "10"),
            ("fault", "stop", "vh2"),
            ("halted", "vh1"),
            ("on", "vh2", "systemctl start --no-block virtengine.service"),
            ("sleep", "15"),
            ("halted", "vh1"),
        ),
        causes={"double_sign_check": ROOT, GONE: ROOT, DOWN: SYMPTOM},
        plan=(("relax_double_sign_check", "vh2"), ("start_node", "vh2"), ("restore_double_sign_check", "vh2")),
        withheld=("vh3",),
        seen_by="vh1",
    ),
    halted(
        "halt-height-and-stopped",
        "a halt height on one host, another is stopped",
        (STOP_VH3, ("fault", "halt-height", "vh2", "+8")),
        causes={
            "halt_height": ROOT,
            "processes_down": ROOT,
            "consensus_failure": SYMPTOM,
            "block_not_executed": SYMPTOM,
        },
        plan=START_VH3,
        withheld=("vh2",),
    ),
    halted(
        "panic-and-frozen",
        "the application of one node panics in a block, another is frozen",
        (("fault", "freeze", "vh3"), ("fault", "panic", "vh2", "+5")),
        causes={
            "application_panics": ROOT,
            "processes_down": ROOT,
            "consensus_failure": SYMPTOM,
            "block_not_executed": SYMPTOM,
        },
        plan=(("thaw_node", "vh3"),),
        withheld=("vh2", "vh3"),
    ),
    halted(
        "split-and-stopped",
        "the network is split 42 to 58, and 14 of the 58 are stopped",
        (("fault", "split", "vh1,vh4/vh2,vh3,vx1,vs1"), STOP_VH3),
        causes={"network_split": ROOT, "processes_down": SYMPTOM},
        withheld=("vh3",),
    ),
    halted(
        "database-damaged-and-stopped",
        "the database of one node is damaged, another is stopped",
        (STOP_VH3, ("fault", "damage", "vh2", "manifest")),
        causes={"database_damaged": ROOT, DOWN: ROOT},
        plan=START_VH3,
        withheld=("vh2",),
        seen_by="vh1",
    ),
    halted(
        "genesis-other-and-cut",
        "one node has another genesis, another host is cut off",
        (CUT_VH3, ("fault", "genesis", "vh2", "other")),
        causes={"other_genesis": ROOT, GONE: ROOT},
        withheld=("vh3",),
        seen_by="vh1",
    ),
    halted(
        "read-only-and-stopped",
        "the disk of one host takes no writes, another node is stopped",
        (STOP_VH3, ("fault", "read-only", "vh2")),
        causes={
            "disk_unwritable": ROOT,
            "processes_down": ROOT,
            "consensus_failure": SYMPTOM,
            "block_not_executed": SYMPTOM,
        },
        plan=START_VH3,
        withheld=("vh2",),
        seen_by="vh1",
    ),
    halted(
        "signer-and-others-missing",
        "a remote signer is away, and another operator's validator is stopped, two minutes ago",
        (("fault", "signer", "vh3"), ("fault", "stop", "vx1"), ("halted", "vh2"), ("sleep", "90")),
        causes={"cannot_tell": ROOT, "remote_signer": SYMPTOM, "processes_down": SYMPTOM},
        withheld=("vh3",),
    ),
    halted(
        "app-hash-split-and-cut",
        "48 of 100 compute another app hash, and another 8 are cut off",
        (
            ("fault", "app-hash", "vh1", "+8"),
            ("fault", "app-hash", "vh3", "+8"),
            ("fault", "cut", "vh4"),
        ),
        causes={"app_hash_divergence": ROOT, "hosts_unreachable": SYMPTOM},
        withheld=("vh4",),
    ),
    halted(
        "upgrade-and-stopped",
        "the height of an upgrade is reached, and one node was stopped before it",
        (("fault", "upgrade", "+30"), STOP_VH3, ("sleep", "20")),
        causes={
            "upgrade_needed": ROOT,
            "processes_down": SYMPTOM,
            "consensus_failure": SYMPTOM,
            "block_not_executed": SYMPTOM,
        },
        withheld=("vh1", "vh2", "vh3", "vh4"),
    ),
    halted(
        "no-peers-and-signing-state-ahead",
        "one node has no peers, another's signing state is ahead",
        (("fault", "no-peers", "vh2"), ("fault", "signing-state", "vh3", "ahead")),
        causes={"few_peers": ROOT, "signing_state_ahead": ROOT},
        withheld=("vh2", "vh3"),
        seen_by="vh1",
    ),
    halted(
        "no-empty-blocks-and-stopped",
        "no node makes empty blocks, and one is stopped: it is a halt, and the chain does not wait for transactions",
        (*on_each("no-empty-blocks", EVERY), ("moving", "vh2"), ("fault", "stop", "vh1")),
        causes={DOWN: ROOT},
        plan=(("start_node", "vh1"),),
    ),
    halted(
        "inodes-and-power-off",
        "the disk of one host takes no more files, another host is off",
        (("fault", "power-off", "vh3"), ("fault", "inodes", "vh2")),
        causes={"disk_full": ROOT, GONE: ROOT, FAILED: SYMPTOM},
        withheld=("vh2", "vh3"),
        seen_by="vh1",
    ),
)
