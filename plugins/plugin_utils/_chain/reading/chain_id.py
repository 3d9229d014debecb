# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chain is judged: the one that is declared, else the one that most nodes name. PRIVATE to the reading."""

from __future__ import annotations

import typing as t
from collections import Counter

from ..._path.text import clean
from ..node import Part, part

Observation = dict[str, t.Any]


def of_hosts(observations: t.Iterable[Observation]) -> t.Optional[str]:
    """The chain that most of our answering hosts name, by RPC, else by genesis file; None where nobody names one.

    Of two chains named by equally many hosts it is the one with more voting power, then the first by name. Hosts and
    not power come first: a host of another chain may hold any power there.
    """
    newest: dict[str, Observation] = {}
    for entry in sorted(observations, key=lambda entry: entry["look"]):
        if entry["ok"]:
            newest[entry["host"]] = entry
    weights: dict[str, list[int]] = {}
    for entry in newest.values():
        name, power = _named(entry["data"])
        if name:
            weight = weights.setdefault(name, [0, 0])
            weight[0] += 1
            weight[1] += power
    return min(weights, key=lambda name: (-weights[name][0], -weights[name][1], name)) if weights else None


def _named(data: dict[str, t.Any]) -> tuple[t.Optional[str], int]:
    """Chain id and own voting power that a node's evidence names."""
    rpc = data.get("rpc")
    status = part(rpc.get("status")) if isinstance(rpc, dict) else Part({}, None)
    name = status.raw.get("chain_id") or part(data.get("genesis")).raw.get("chain_id")
    power = status.integer("power") or 0
    return (clean(name, 100) or None) if isinstance(name, str) else None, max(0, power)


def of_references(observations: t.Iterable[Observation]) -> t.Optional[str]:
    """The chain id that most nodes behind RPCs name; of equally many the first by name."""
    answers = [(entry["host"], part(entry["data"].get("status"))) for entry in observations if entry["ok"] is True]
    # A node that is listed under a name and found under its address is one.
    nodes = {
        (clean(name, 100), status.text("node_id") or host)
        for host, status in answers
        if (name := status.text("chain_id"))
    }
    names = Counter(name for name, _node in nodes)
    return min(names, key=lambda name: (-names[name], name)) if names else None
