# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what an RPC shows is what somebody waits for. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What is waited for; None where it is not asked.

    height_above: the newest block must be above it. signed_by: this address (40 upper-case hex digits) must have signed
    at least ``signed_min`` of the newest ``signed_of`` commits above ``signed_since_height``.
    """

    height_above: t.Optional[int] = None
    signed_by: t.Optional[str] = None
    signed_min: int = 3
    signed_of: int = 5
    signed_since_height: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """What to ask the RPC for."""
        return ("status",) if self.signed_by is None else ("status", "commits")


@dataclass(frozen=True)
class Seen:
    """What one look showed. ``missing``: one sentence for each thing that is not reached yet."""

    missing: tuple[str, ...]
    height: t.Optional[int]
    signed: t.Optional[list[int]]
    counted: t.Optional[list[int]]


def judge(rpc: dict[str, dict[str, t.Any]], goal: Goal) -> Seen:
    """Compare one look (the parts of ``_cometbft.gather``) with the goal. What cannot be told is not reached."""
    missing = [part["error"]["text"] for part in rpc.values() if not part["ok"]]
    height = rpc["status"]["data"]["height"] if rpc["status"]["ok"] else None
    if goal.height_above is not None and height is not None and height <= goal.height_above:
        missing.append(f"the newest block is {height}, and one above {goal.height_above} is waited for")
    signed, counted = None, None
    if goal.signed_by is not None and rpc["commits"]["ok"]:
        newest = [one for one in rpc["commits"]["data"]["commits"] if one["height"] > goal.signed_since_height]
        newest = newest[: goal.signed_of]
        counted = [one["height"] for one in newest]
        signed = [one["height"] for one in newest if goal.signed_by in (row[0] for row in one["signed"])]
        if len(signed) < goal.signed_min:
            missing.append(
                f"{goal.signed_by} signed {len(signed)} of the newest {len(counted)} commits above height "
                f"{goal.signed_since_height}, and {goal.signed_min} of {goal.signed_of} are waited for"
            )
    return Seen(tuple(missing), height, signed, counted)
