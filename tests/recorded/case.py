# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recorded case is, and the fleets that cases are made on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Step = tuple[str, ...]

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
    # With vh3 in jail vh1's stop halts the rest; with vh3 in the set it would not.
    "jail": [
        {"name": "vh1", "power": 30},
        {"name": "vh2", "power": 22},
        {"name": "vh3", "power": 18},
        {"name": "vh4", "power": 8},
        {"name": "vs1"},
        {"name": "vx1", "power": 22, "ours": False},
    ],
}
# What else of a layout is not the rig's default.
SETTINGS: dict[str, dict[str, Any]] = {"jail": {"signed_blocks_window": 20}}


@dataclass(frozen=True)
class Case:
    """One recorded case.

    ``script``: what is done before the run, in order: ("fault", kind, host, ...), ("heal", host, kind),
    ("on", host, command), ("halted", host) until the newest block that this host shows is 33 s old, ("moving", host) until
    it shows new blocks, ("sleep", seconds).
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


def halted(name: str, about: str, script: tuple[Step, ...], seen_by: str = "vh2", **more: Any) -> Case:
    """A case in which a host (``seen_by``) sees the chain stand after the script."""
    return Case(name, about, (*script, ("halted", seen_by)), "incident", **more)


def on_each(kind: str, hosts: tuple[str, ...], *arguments: str) -> tuple[Step, ...]:
    """One fault on several hosts."""
    return tuple(("fault", kind, host, *arguments) for host in hosts)


RESTART = "systemctl restart --no-block virtengine.service"
VALIDATORS = ("vh1", "vh2", "vh3", "vh4", "vx1")
OURS = ("vh1", "vh2", "vh3", "vh4")
EVERY = (*OURS, "vs1", "vx1", "vx2")
# A chain that stands while its rounds rise, for a reason that is taken away later.
ROUNDS_RISE: tuple[Step, ...] = (*on_each("reject", VALIDATORS, "+5"), ("halted", "vh2"))
ROOT = "root"
SYMPTOM = "symptom"
