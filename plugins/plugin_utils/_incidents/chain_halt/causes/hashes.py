# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who computed which application hash, and which of them the chain committed to. PRIVATE to the causes."""

from __future__ import annotations

from dataclasses import dataclass

from ...._chain.node import Rpc
from ...._chain.reading.trust import SUPPORT
from ...._chain.reading.types import Reading
from ...._path.evidence import values


@dataclass(frozen=True)
class Sides:
    """Our nodes that stand at one application height, by what they computed there."""

    height: int
    hosts: dict[str, tuple[str, ...]]  # application hash -> hosts, by name
    right: str | None  # the hash that the header of the next block carries: more than two thirds signed it


def compare(reading: Reading) -> Sides | None:
    """The newest height at which our nodes contradict each other or the chain; None where none does.

    Hashes are compared only at equal application height: a node that is behind has another one rightly. The header of a
    block carries the hash after the block before it (CometBFT ``types/block.go``, ``Header.AppHash``).
    """
    own = _own(reading)
    right = _committed(reading)
    by_height: dict[int, dict[str, list[str]]] = {}
    for host, (height, digest) in own.items():
        by_height.setdefault(height, {}).setdefault(digest, []).append(host)
    for height in sorted(by_height, reverse=True):
        sides = by_height[height]
        if reading.rpc_only and max(len(hosts) for hosts in sides.values()) > 1:
            # One node outside the inventory that contradicts two is not believed.
            sides = {digest: hosts for digest, hosts in sides.items() if len(hosts) > 1}
        committed = right.get(height)
        if len(sides) > 1 or (committed is not None and committed not in sides):
            return Sides(height, {digest: tuple(sorted(hosts)) for digest, hosts in sorted(sides.items())}, committed)
    return None


def comparable(reading: Reading) -> bool:
    """Whether at least two of our nodes, or one and the chain's headers, can be compared at all."""
    own, right = _own(reading), _committed(reading)
    heights = [height for height, _digest in own.values()]
    return any(heights.count(height) > 1 or height in right for height in heights)


def contradicted(reading: Reading) -> bool:
    """Whether headers differ about the application hash at a height at which a node of ours stands."""
    digests = _shown(reading)
    return any(len(digests.get(height, ())) > 1 for height, _digest in _own(reading).values())


def _own(reading: Reading) -> dict[str, tuple[int, str]]:
    own = {}
    for view in reading.views:
        height, digest = view.rpc.abci_info.integer("height"), view.rpc.abci_info.text("app_hash")
        if height is not None and height > 0 and digest:
            own[view.name] = (height, digest.upper())
    return own


def _committed(reading: Reading) -> dict[int, str]:
    """Application hash by height, as headers of blocks that are stored say it; where nodes differ, none.

    Of nodes outside the inventory SUPPORT have to show it.
    """
    least = SUPPORT if reading.rpc_only else 1
    agreed = {
        height: [d for d, names in digests.items() if len(names) >= least]
        for height, digests in _shown(reading).items()
    }
    return {height: digests[0] for height, digests in agreed.items() if len(digests) == 1}


def _shown(reading: Reading) -> dict[int, dict[str, set[str]]]:
    """By height: the application hashes that headers show, each with the views that do."""
    by_height: dict[int, dict[str, set[str]]] = {}
    for view in reading.views:
        for height, digest in _headers(view.rpc):
            by_height.setdefault(height - 1, {}).setdefault(digest, set()).add(view.name)
    return by_height


def _headers(rpc: Rpc) -> list[tuple[int, str]]:
    rows: list[tuple[int, str]] = []
    for row in rpc.blocks.items("headers"):
        height = values.integer(row[0]) if isinstance(row, list) and len(row) == 2 else None
        if height is not None and isinstance(row[1], str) and row[1]:
            rows.append((height, row[1].upper()))
    height, digest = rpc.status.integer("height"), rpc.status.text("app_hash")
    if height is not None and digest:
        rows.append((height, digest.upper()))
    return rows


def powers(reading: Reading) -> dict[str, int]:
    """Voting power by the name of the view that shows its validator's node."""
    by_address = {row.address: row.power for row in reading.validators}
    power = {view.name: by_address.get(view.rpc.status.address("address") or "", 0) for view in reading.views}
    power.update({row.host: row.power for row in reading.validators if row.host is not None})
    return power
