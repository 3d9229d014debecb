# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incidents and fleet actions that this collection knows."""

from __future__ import annotations

import typing as t

from .._path.evidence.bundle import Bundle, check
from .._path.incident import Incident
from .chain_halt.incident import CHAIN_HALT, CHAIN_PROBE
from .database_connections.incident import DATABASE_CONNECTIONS

_KNOWN = {one.name: one for one in (CHAIN_HALT, CHAIN_PROBE, DATABASE_CONNECTIONS)}


def known() -> tuple[Incident, ...]:
    """All of them, by name."""
    return tuple(_KNOWN[name] for name in sorted(_KNOWN))


def incident(name: str) -> Incident:
    """The one of that name. KeyError, with the names that exist, for any other."""
    if name not in _KNOWN:
        raise KeyError(f"no incident is called {name!r}; known: {', '.join(sorted(_KNOWN))}")
    return _KNOWN[name]


def evidence(saved: t.Any) -> tuple[Incident, Bundle]:
    """The incident that saved evidence is of, and that evidence. KeyError for no incident, BadEvidence for no bundle."""
    name = saved.get("incident") if isinstance(saved, dict) else None
    one = incident(name) if isinstance(name, str) else CHAIN_HALT
    return one, check(saved, one)


def variables() -> frozenset[str]:
    """All variables that some incident takes, of the run or of a host: one inventory serves all of them."""
    return frozenset().union(*(one.variables | one.host_variables for one in known()))
