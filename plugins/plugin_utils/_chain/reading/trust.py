# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far nodes outside the inventory are believed. PRIVATE to the reading.

A node counts once, however many addresses it is reached by. One node outside the inventory decides nothing: neither the
height, nor its hash, nor how old it is. Two that agree are believed, for that is all there is where no host can be asked;
who can run two can still lie, and a verdict over nodes outside the inventory plans no step.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import replace

from .blocks import Source

# How many nodes outside the inventory have to agree.
SUPPORT = 2
# Answers of one look are a second or two apart: an honest node may be so many blocks ahead of the others.
LEAD_BLOCKS = 3


def trusted(answering: list[Source], notes: list[str]) -> list[Source]:
    """The sources of one look, each node once; those outside the inventory as far as others corroborate them."""
    once = _deduplicate_nodes(answering, notes)
    reach = _reach(once)
    if reach is None:
        return once
    only_outside = all(entry.outside for entry in once)
    outnumbered = only_outside and len(once) > SUPPORT
    kept = []
    for entry in once:
        if not entry.outside or entry.height is None or entry.height <= reach:
            kept.append(entry)
        elif entry.height <= reach + LEAD_BLOCKS:
            # What it says of a block that nobody else has is not used; its votes are.
            kept.append(
                replace(entry, height=reach, block_hash=None, block_time=entry.block_time if only_outside else None)
            )
        elif outnumbered:
            notes.append(f"{entry.name} claims height {entry.height}, and no other node corroborates it: set aside.")
        else:
            kept.append(entry)
    return _of_the_common_block(kept, reach, notes) if outnumbered else kept


def _deduplicate_nodes(answering: list[Source], notes: list[str]) -> list[Source]:
    """Without nodes outside the inventory that are counted already under another address; hosts of ours come first."""
    heard: set[str] = set()
    kept = []
    for entry in sorted(answering, key=lambda entry: entry.outside):
        node_id = entry.rpc.status.text("node_id")
        if entry.outside and node_id is not None and node_id in heard:
            notes.append(f"{entry.name} is a node that answers under another address as well: it counts once.")
            continue
        heard.update({node_id} - {None} if node_id is not None else set())
        kept.append(entry)
    return sorted(kept, key=lambda entry: (entry.name, entry.ours))


def _reach(answering: list[Source]) -> t.Optional[int]:
    """The greatest height that a host of ours has, or that two nodes have; of a single node its own."""
    heights = sorted((entry.height for entry in answering if entry.height is not None), reverse=True)
    if not heights:
        return None
    corroborated = heights[SUPPORT - 1] if len(heights) >= SUPPORT else heights[0]
    ours = [entry.height for entry in answering if not entry.outside and entry.height is not None]
    return max([corroborated, *ours])


def _of_the_common_block(answering: list[Source], reach: int, notes: list[str]) -> list[Source]:
    """Without a node whose block nobody else has, where two or more have another one."""
    hashes = Counter(entry.block_hash for entry in answering if entry.height == reach and entry.block_hash)
    common = {digest for digest, count in hashes.items() if count >= SUPPORT}
    if not common:
        return answering
    kept = []
    for entry in answering:
        if entry.height == reach and entry.block_hash and entry.block_hash not in common:
            notes.append(f"{entry.name} has another block {reach} than all others: set aside.")
        else:
            kept.append(entry)
    return kept


def corroborated_age(answering: list[Source], reach: int) -> t.Optional[tuple[float, float]]:
    """Age and time of the newest block that two nodes outside the inventory agree on; None where too few show one."""
    near = sorted(
        (now - entry.block_time, entry.block_time)
        for entry in answering
        if entry.height is not None
        and entry.height >= reach - LEAD_BLOCKS
        and entry.block_time is not None
        and (now := entry.now if entry.now is not None else entry.at) is not None
    )
    return near[SUPPORT - 1] if len(near) > SUPPORT else None
