# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incidents this collection knows: for each what its actions are, and the pure functions that the common path calls."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import (
    actions,
    guards,
    recovery,
    verdict,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import plan as _halt_plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.action import Acts

Data = dict[str, t.Any]


@dataclass(frozen=True)
class Incident:
    """What an incident adds to the path. Its functions take a checked bundle and return plain data of the contract."""

    id: str
    assess: t.Callable[[Data], Data]  # bundle -> verdict
    plan: t.Callable[[Data, Data, t.Optional[str]], Data]  # bundle, verdict, break-glass reason -> plan
    check_step: t.Callable[[Data, Data, Data], Data]  # bundle, plan, step -> guards
    recovered: t.Callable[[Data, Data, Data], Data]  # bundle, plan, verdict before -> recovery
    acts: Acts  # action -> what it is on a host


_KNOWN = {
    "chain_halt": Incident(
        "chain_halt",
        verdict.assess,
        _halt_plan.plan,
        guards.check_step,
        recovery.recovered,
        actions.ACTS,
    ),
}


def incident(name: str) -> Incident:
    """The incident of that name. KeyError, with the names that exist, for any other."""
    if name not in _KNOWN:
        raise KeyError(f"no incident is called {name!r}; known: {', '.join(sorted(_KNOWN))}")
    return _KNOWN[name]


def acting_modules() -> list[str]:
    """The modules that actions of any incident are made of, sorted."""
    return sorted({act.module for known in _KNOWN.values() for acts in known.acts.values() for act in acts})
