# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a remedy is: everything about taking away one reason that keeps a node from taking part. PRIVATE."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.case import Case
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.remedies import stop, words
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.remedies.words import Texts


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
    away. ``starts``: how the node starts then, in words. ``heals``: why a node that runs needs nothing more once the chain moves,
    with {host}; empty where it still does.
    """

    blocker: str
    blocks: t.Callable[[Case], bool]
    removed: t.Callable[[Case, bool], bool]
    change: t.Optional[Change] = None  # None: the start itself is the remedy
    starts: str = ""
    stop_guards: stop.Guards = stop.GUARDS
    stop_texts: t.Callable[[Case], Texts] = words.stop
    stop_parameters: t.Mapping[str, t.Any] = field(default_factory=dict)
    heals: str = ""
