# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a real fleet for each recorded bundle, and what the verdict on it has to be."""

from __future__ import annotations

from tests.recorded.case import RESTART, ROOT, SYMPTOM, Case, halted
from tests.recorded.cases_disk import CASES as OF_DISKS
from tests.recorded.cases_node import CASES as OF_NODES
from tests.recorded.cases_pairs import CASES as PAIRS

HALT = "processes_down"
OTHERS = "others_missing"
GONE = "hosts_unreachable"
OPEN = "cannot_tell"

START_VH1 = (("start_node", "vh1"),)

OF_HOSTS = (
    Case("healthy", "nothing was done", (("sleep", "15"),), "healthy", {"not_halted": "root"}),
    Case(
        "degraded",
        "a small validator is stopped, blocks come",
        (("fault", "stop", "vh4"), ("sleep", "20")),
        "degraded",
        {"not_halted": "root", HALT: "root"},
    ),
    halted("stopped", "unit stopped", (("fault", "stop", "vh1"),), causes={HALT: "root"}, plan=START_VH1),
    halted(
        "killed", "SIGKILL, unit failed", (("fault", "kill", "vh1", "stay"),), causes={HALT: "root"}, plan=START_VH1
    ),
    halted(
        "frozen",
        "SIGSTOP to the process",
        (("fault", "freeze", "vh1"),),
        causes={HALT: "root"},
        plan=(("thaw_node", "vh1"),),
        withheld=("vh1",),
    ),
    halted(
        "frozen-cgroup",
        "the cgroup freezer stops the node",
        (("fault", "freeze-cgroup", "vh1"),),
        causes={HALT: "root"},
        plan=(("thaw_node", "vh1"),),
        withheld=("vh1",),
    ),
    halted(
        "power-off",
        "the plug of a host is pulled",
        (("fault", "power-off", "vh1"),),
        causes={GONE: "root"},
        withheld=("vh1",),
    ),
    halted(
        "cut",
        "the network port of a host is down",
        (("fault", "cut", "vh1"),),
        causes={GONE: "root"},
        withheld=("vh1",),
    ),
    halted(
        "frozen-host",
        "a whole host is frozen: ssh hangs",
        (("fault", "freeze-host", "vh1"),),
        causes={GONE: "root"},
        withheld=("vh1",),
    ),
    halted(
        "half-unreachable",
        "two validators and the sentry are cut off",
        (("fault", "cut", "vh1"), ("fault", "cut", "vh3"), ("fault", "cut", "vs1")),
        causes={GONE: "root"},
        withheld=("vh1", "vh3"),
    ),
    halted(
        "others-missing",
        "another operator's validator and one of ours are stopped",
        (("fault", "stop", "vx1"), ("fault", "stop", "vh3")),
        causes={OPEN: ROOT, HALT: SYMPTOM},
        withheld=("vh3",),
    ),
    halted(
        "others-missing-long",
        "the same, two minutes later: the peers outside show whose votes they lack",
        (("fault", "stop", "vx1"), ("fault", "stop", "vh3"), ("halted", "vh2"), ("sleep", "90")),
        causes={HALT: "root", OTHERS: "root"},
        plan=(("start_node", "vh3"),),
    ),
    halted(
        "split",
        "the network is split 42 to 58",
        (("fault", "split", "vh1,vh4/vh2,vh3,vx1,vs1"),),
        causes={"network_split": ROOT},
    ),
    halted(
        "double-sign-check",
        "stopped, and double_sign_check_height is 10",
        (("fault", "dsch", "vh1", "10"), ("fault", "stop", "vh1")),
        causes={HALT: "root"},
        plan=(("relax_double_sign_check", "vh1"), ("start_node", "vh1"), ("restore_double_sign_check", "vh1")),
    ),
    halted(
        "double-sign-check-loop",
        "the same, and somebody started it: it crashes at every start",
        (
            ("fault", "dsch", "vh1", "10"),
            ("fault", "stop", "vh1"),
            ("halted", "vh2"),
            ("on", "vh1", "systemctl start --no-block virtengine.service"),
            ("sleep", "15"),
        ),
        causes={"double_sign_check": ROOT, HALT: SYMPTOM},
        plan=(("relax_double_sign_check", "vh1"), ("start_node", "vh1"), ("restore_double_sign_check", "vh1")),
    ),
    halted(
        "standby",
        "the sentry holds a copy of the stopped validator's key",
        (("fault", "standby", "vs1", "vh1"), ("fault", "stop", "vh1")),
        causes={HALT: "root"},
        withheld=("vh1", "vs1"),
    ),
    halted(
        "panic",
        "it panics in a block and lives on",
        (("fault", "panic", "vh1", "+5"),),
        causes={"application_panics": ROOT, "consensus_failure": SYMPTOM, "block_not_executed": SYMPTOM},
        withheld=("vh1",),
    ),
    halted(
        "panic-loop",
        "the same, and somebody restarted it: it crashes at every start",
        (("fault", "panic", "vh1", "+5"), ("halted", "vh2"), ("on", "vh1", RESTART), ("sleep", "15")),
        causes={"application_panics": ROOT, HALT: SYMPTOM},
        withheld=("vh1",),
    ),
    halted(
        "halt-height",
        "halt height on one host",
        (("fault", "halt-height", "vh1", "+8"),),
        causes={"halt_height": ROOT, "consensus_failure": SYMPTOM, "block_not_executed": SYMPTOM},
        withheld=("vh1",),
    ),
    halted(
        "disk-full",
        "no byte is free on its disk",
        (("fault", "disk-full", "vh1"),),
        causes={"disk_full": ROOT},
        withheld=("vh1",),
    ),
    halted(
        "slow",
        "a block takes one node two minutes: it answers and does not vote",
        (("fault", "slow", "vh1", "120000"),),
        causes={"application_stuck": ROOT},
        withheld=("vh1",),
    ),
    Case(
        "app-hash-minority",
        "14 of 100 compute another app hash, blocks come",
        (("fault", "app-hash", "vh3", "+5"), ("sleep", "30")),
        "degraded",
        {
            "not_halted": ROOT,
            "app_hash_divergence": ROOT,
            "node_behind": SYMPTOM,
            "consensus_failure": SYMPTOM,
            "proposer_silent": SYMPTOM,
        },
    ),
    halted(
        "app-hash-split",
        "48 of 100 compute another app hash",
        (("fault", "app-hash", "vh1", "+8"), ("fault", "app-hash", "vh3", "+8")),
        causes={"app_hash_divergence": ROOT},
    ),
    Case(
        "all-unreachable",
        "every host of ours is cut off",
        (*(("fault", "cut", host) for host in ("vh1", "vh2", "vh3", "vh4", "vs1")), ("sleep", "35")),
        "unknown",
        {OPEN: "root"},
    ),
    halted(
        "exactly-one-third",
        "33 of 99 are missing",
        (("fault", "stop", "vh1"),),
        causes={HALT: "root"},
        plan=START_VH1,
        layout="third",
    ),
    halted(
        "others-only",
        "another operator's 36 of 100 are stopped",
        (("fault", "stop", "vx1"),),
        causes={OPEN: "root"},
        layout="others",
    ),
    halted(
        "others-only-long",
        "the same, two minutes later: another operator's node lacks those votes too",
        (("fault", "stop", "vx1"), ("halted", "vh2"), ("sleep", "90")),
        causes={OTHERS: "root"},
        layout="others",
    ),
)

CASES = (*OF_HOSTS, *OF_DISKS, *OF_NODES, *PAIRS)
