# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far strangers are believed. PRIVATE to the reading.

A node is one voice, however many addresses it is reached by. A stranger alone decides nothing: neither the height, nor
its hash, nor how old it is. Two strangers who say the same are believed, for that is all there is where no host can be
asked; who can run two can still lie, and a verdict over strangers plans no step.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import replace

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.blocks import Source

# How many strangers have to say the same.
SUPPORT = 2
# Answers of one look are a second or two apart: an honest node may be so many blocks ahead of the others.
LEAD_BLOCKS = 3


def voices(found: list[Source], notes: list[str]) -> list[Source]:
    """The sources of one look, each node once, and strangers held to what others bear out."""
    once = _each_node_once(found, notes)
    reach = _reach(once)
    if reach is None:
        return once
    only_strangers = all(entry.stranger for entry in once)
    outnumbered = only_strangers and len(once) > SUPPORT
    kept = []
    for entry in once:
        if not entry.stranger or entry.height is None or entry.height <= reach:
            kept.append(entry)
        elif entry.height <= reach + LEAD_BLOCKS:
            # What it says of a block that nobody else has is not used; its votes are.
            kept.append(
                replace(entry, height=reach, block_hash=None, block_time=entry.block_time if only_strangers else None)
            )
        elif outnumbered:
            notes.append(f"{entry.name} claims height {entry.height}, and nobody bears that out: set aside.")
        else:
            kept.append(entry)
    return _of_the_common_block(kept, reach, notes) if outnumbered else kept


def _each_node_once(found: list[Source], notes: list[str]) -> list[Source]:
    """Strangers with the id of a node that is heard already are no voice of their own; hosts of ours come first."""
    heard: set[str] = set()
    kept = []
    for entry in sorted(found, key=lambda entry: entry.stranger):
        node_id = entry.rpc.status.text("node_id")
        if entry.stranger and node_id is not None and node_id in heard:
            notes.append(f"{entry.name} is a node that is heard already, by another name: it counts once.")
            continue
        heard.update({node_id} - {None} if node_id is not None else set())
        kept.append(entry)
    return sorted(kept, key=lambda entry: (entry.name, entry.ours))


def _reach(found: list[Source]) -> t.Optional[int]:
    """The greatest height that a host of ours has, or that two nodes have; of a single node its own."""
    heights = sorted((entry.height for entry in found if entry.height is not None), reverse=True)
    if not heights:
        return None
    borne_out = heights[SUPPORT - 1] if len(heights) >= SUPPORT else heights[0]
    ours = [entry.height for entry in found if not entry.stranger and entry.height is not None]
    return max([borne_out, *ours])


def _of_the_common_block(found: list[Source], reach: int, notes: list[str]) -> list[Source]:
    """Without a stranger whose block nobody else has, where two or more have another one."""
    hashes = Counter(entry.block_hash for entry in found if entry.height == reach and entry.block_hash)
    common = {digest for digest, count in hashes.items() if count >= SUPPORT}
    if not common:
        return found
    kept = []
    for entry in found:
        if entry.height == reach and entry.block_hash and entry.block_hash not in common:
            notes.append(f"{entry.name} has another block {reach} than all others: set aside.")
        else:
            kept.append(entry)
    return kept


def age_of_strangers(found: list[Source], reach: int) -> t.Optional[tuple[float, float]]:
    """Age and time of the newest block as two strangers bear it out: one who claims a young or an old one is alone."""
    near = sorted(
        (now - entry.block_time, entry.block_time)
        for entry in found
        if entry.height is not None
        and entry.height >= reach - LEAD_BLOCKS
        and entry.block_time is not None
        and (now := entry.now if entry.now is not None else entry.at) is not None
    )
    return near[SUPPORT - 1] if len(near) > SUPPORT else None
