# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a real fleet for each recorded bundle, and what the verdict on it has to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Step = tuple[str, ...]

HALT = "processes_down"
OTHERS = "others_missing"
DEAD = "node_dead_for_reason"
GONE = "hosts_unreachable"
OPEN = "cannot_tell"

DEFAULT: list[dict[str, Any]] = [
    {"name": "vh1", "power": 34},
    {"name": "vh2", "power": 22},
    {"name": "vh3", "power": 14},
    {"name": "vh4", "power": 8},
    {"name": "vs1"},
    {"name": "vx1", "power": 22, "ours": False},
    {"name": "vx2", "ours": False},
]
LAYOUTS: dict[str, list[dict[str, Any]]] = {
    "default": DEFAULT,
    # One of three others holds more than a third; the second other is the witness outside the inventory.
    "others": [
        {"name": "vh1", "power": 30},
        {"name": "vh2", "power": 18},
        {"name": "vs1"},
        {"name": "vx1", "power": 36, "ours": False},
        {"name": "vx2", "power": 16, "ours": False},
    ],
    # 33 of 99: exactly one third.
    "third": [
        {"name": "vh1", "power": 33},
        {"name": "vh2", "power": 22},
        {"name": "vh3", "power": 22},
        {"name": "vx1", "power": 22, "ours": False},
    ],
}


@dataclass(frozen=True)
class Case:
    """One recorded case.

    ``script``: what is done before the run, in order: ("fault", kind, host, ...), ("heal", host),
    ("on", host, command), ("halted", host) until the newest block that this host shows is 33 s old, ("sleep", seconds).
    ``causes``: id -> role; ``plan``: (action, host) of each step; ``withheld``: hosts whose start is kept back,
    also where a thaw is planned.
    """

    name: str
    about: str
    script: tuple[Step, ...]
    status: str
    causes: dict[str, str] = field(default_factory=dict)
    plan: tuple[tuple[str, str], ...] = ()
    withheld: tuple[str, ...] = ()
    layout: str = "default"


def _halted(name: str, about: str, script: tuple[Step, ...], **more: Any) -> Case:
    """A case in which vh2 sees the chain stand after the script."""
    return Case(name, about, (*script, ("halted", "vh2")), "incident", **more)


RESTART = "systemctl restart --no-block virtengine.service"
START_VH1 = (("start_node", "vh1"),)

CASES = (
    Case("healthy", "nothing was done", (("sleep", "15"),), "healthy", {"not_halted": "root"}),
    Case(
        "degraded",
        "a small validator is stopped, blocks come",
        (("fault", "stop", "vh4"), ("sleep", "20")),
        "degraded",
        {"not_halted": "root", HALT: "root"},
    ),
    _halted("stopped", "unit stopped", (("fault", "stop", "vh1"),), causes={HALT: "root"}, plan=START_VH1),
    _halted(
        "killed", "SIGKILL, unit failed", (("fault", "kill", "vh1", "stay"),), causes={HALT: "root"}, plan=START_VH1
    ),
    _halted(
        "frozen",
        "SIGSTOP to the process",
        (("fault", "freeze", "vh1"),),
        causes={HALT: "root"},
        plan=(("thaw_node", "vh1"),),
        withheld=("vh1",),
    ),
    _halted(
        "frozen-cgroup",
        "the cgroup freezer stops the node",
        (("fault", "freeze-cgroup", "vh1"),),
        causes={HALT: "root"},
        plan=(("thaw_node", "vh1"),),
        withheld=("vh1",),
    ),
    _halted(
        "power-off",
        "the plug of a host is pulled",
        (("fault", "power-off", "vh1"),),
        causes={GONE: "root"},
        withheld=("vh1",),
    ),
    _halted(
        "cut",
        "the network port of a host is down",
        (("fault", "cut", "vh1"),),
        causes={GONE: "root"},
        withheld=("vh1",),
    ),
    _halted(
        "frozen-host",
        "a whole host is frozen: ssh hangs",
        (("fault", "freeze-host", "vh1"),),
        causes={GONE: "root"},
        withheld=("vh1",),
    ),
    _halted(
        "half-unreachable",
        "two validators and the sentry are cut off",
        (("fault", "cut", "vh1"), ("fault", "cut", "vh3"), ("fault", "cut", "vs1")),
        causes={GONE: "root"},
        withheld=("vh1", "vh3"),
    ),
    _halted(
        "others-missing",
        "another operator's validator and one of ours are stopped",
        (("fault", "stop", "vx1"), ("fault", "stop", "vh3")),
        causes={OPEN: "root"},
        withheld=("vh3",),
    ),
    _halted(
        "others-missing-long",
        "the same, two minutes later: the peers outside show whose votes they lack",
        (("fault", "stop", "vx1"), ("fault", "stop", "vh3"), ("halted", "vh2"), ("sleep", "90")),
        causes={HALT: "root", OTHERS: "root"},
        plan=(("start_node", "vh3"),),
    ),
    _halted(
        "split",
        "the network is split 42 to 58",
        (("fault", "split", "vh1,vh4/vh2,vh3,vx1,vs1"),),
        causes={OPEN: "root"},
    ),
    _halted(
        "double-sign-check",
        "stopped, and double_sign_check_height is 10",
        (("fault", "dsch", "vh1", "10"), ("fault", "stop", "vh1")),
        causes={HALT: "root"},
        plan=(("relax_double_sign_check", "vh1"), ("start_node", "vh1"), ("restore_double_sign_check", "vh1")),
    ),
    _halted(
        "double-sign-check-loop",
        "the same, and somebody started it: it crashes at every start",
        (
            ("fault", "dsch", "vh1", "10"),
            ("fault", "stop", "vh1"),
            ("halted", "vh2"),
            ("on", "vh1", "systemctl start --no-block virtengine.service"),
            ("sleep", "15"),
        ),
        causes={DEAD: "root"},
        plan=(("relax_double_sign_check", "vh1"), ("start_node", "vh1"), ("restore_double_sign_check", "vh1")),
    ),
    _halted(
        "standby",
        "the sentry holds a copy of the stopped validator's key",
        (("fault", "standby", "vs1", "vh1"), ("fault", "stop", "vh1")),
        causes={HALT: "root"},
        withheld=("vh1", "vs1"),
    ),
    _halted(
        "panic",
        "it panics in a block and lives on",
        (("fault", "panic", "vh1", "+5"),),
        causes={DEAD: "root"},
        withheld=("vh1",),
    ),
    _halted(
        "panic-loop",
        "the same, and somebody restarted it: it crashes at every start",
        (("fault", "panic", "vh1", "+5"), ("halted", "vh2"), ("on", "vh1", RESTART), ("sleep", "15")),
        causes={DEAD: "root"},
        withheld=("vh1",),
    ),
    _halted(
        "halt-height",
        "halt height on one host",
        (("fault", "halt-height", "vh1", "+8"),),
        causes={DEAD: "root"},
        withheld=("vh1",),
    ),
    _halted(
        "disk-full",
        "no byte is free on its disk",
        (("fault", "disk-full", "vh1"),),
        causes={DEAD: "root"},
        withheld=("vh1",),
    ),
    _halted(
        "slow",
        "a block takes one node two minutes: it answers and does not vote",
        (("fault", "slow", "vh1", "120000"),),
        causes={OPEN: "root"},
        withheld=("vh1",),
    ),
    Case(
        "app-hash-minority",
        "14 of 100 compute another app hash, blocks come",
        (("fault", "app-hash", "vh3", "+5"), ("sleep", "30")),
        "degraded",
        {"not_halted": "root", DEAD: "root"},
    ),
    _halted(
        "app-hash-split",
        "48 of 100 compute another app hash",
        (("fault", "app-hash", "vh1", "+8"), ("fault", "app-hash", "vh3", "+8")),
        causes={OPEN: "root"},
    ),
    Case(
        "all-unreachable",
        "every host of ours is cut off",
        (*(("fault", "cut", host) for host in ("vh1", "vh2", "vh3", "vh4", "vs1")), ("sleep", "35")),
        "unknown",
        {OPEN: "root"},
    ),
    _halted(
        "exactly-one-third",
        "33 of 99 are missing",
        (("fault", "stop", "vh1"),),
        causes={HALT: "root"},
        plan=START_VH1,
        layout="third",
    ),
    _halted(
        "others-only",
        "another operator's 36 of 100 are stopped",
        (("fault", "stop", "vx1"),),
        causes={OPEN: "root"},
        layout="others",
    ),
    _halted(
        "others-only-long",
        "the same, two minutes later: another operator's node lacks those votes too",
        (("fault", "stop", "vx1"), ("halted", "vh2"), ("sleep", "90")),
        causes={OTHERS: "root"},
        layout="others",
    ),
)
