# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a remedy is: everything about taking away one reason that keeps a node from taking part. PRIVATE."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...._chain.guards.case import Case
from . import stop


class Texts(t.NamedTuple):
    """The words of a step."""

    why: str
    undo: str
    risk: str  # where no guard is overridden


def what(case: Case) -> str:
    """What a node is."""
    return f"a validator with voting power {case.row.power}" if case.row is not None else "a sentry or full node"


def unit(case: Case) -> str:
    """The name of its unit."""
    return case.data.unit.text("name") or "the unit"


def start_texts(case: Case, why: str) -> Texts:
    """The words of a start."""
    undo = f"systemctl stop {unit(case)} on {case.host}."
    if case.row is None:
        return Texts(why, undo, "None known: it signs nothing.")
    return Texts(
        why,
        f"{undo} It takes the votes away again: ask first.",
        "It signs again with its key. The guards saw no other machine with it.",
    )


def stop_texts(case: Case) -> Texts:
    """The words of a stop before a remedy."""
    return Texts(
        f"{case.host} is {what(case)} and takes no part: {case.node.detail}. It has to be down before its reason is taken "
        "away.",
        f"systemctl start {unit(case)} on {case.host}. It comes up with the same reason.",
        "No power is lost: it votes for nothing. Its RPC is silent from here on. If the run ends before its start, it stays "
        "down.",
    )


def nothing(case: Case) -> dict[str, t.Any]:
    """The parameters of a step that has none of its own."""
    return {}


@dataclass(frozen=True)
class Change:
    """What is changed on the host between the stop and the start.

    ``is_done``: whether it is, by whomever; ``done`` says so, with {host}. ``guards``: beside those of the start that
    follows. ``parameters``: the values that have to be there still when it is done.
    """

    action: str
    is_done: t.Callable[[Case], bool]
    done: str
    texts: t.Callable[[Case], Texts]
    guards: stop.Guards = ()
    parameters: t.Callable[[Case], dict[str, t.Any]] = nothing


@dataclass(frozen=True)
class Remedy:
    """A blocker and what is done about it: stop, change, start.

    ``blocker``: the kind of the journal's mark that states it. ``blocks``: whether it keeps the node from taking part now.
    ``removed``: whether it does not count against a start any more; the flag says that a step before the start takes it
    away. ``starts``: how the node starts then, in words. ``heals``: why a node that runs needs nothing more once the
    chain moves, with {host}; empty where it still does.
    """

    blocker: str
    blocks: t.Callable[[Case], bool]
    removed: t.Callable[[Case, bool], bool]
    change: t.Optional[Change] = None  # None: the start itself is the remedy
    starts: str = ""
    stop_guards: stop.Guards = stop.GUARDS
    stop_texts: t.Callable[[Case], Texts] = stop_texts
    stop_parameters: t.Mapping[str, t.Any] = field(default_factory=dict)
    heals: str = ""
