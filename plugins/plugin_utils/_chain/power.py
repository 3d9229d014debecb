# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Voting power. Integers only: 0.6666 and 0.6667 of a total lie on different sides of a halt.

CometBFT commits a block when the power that voted for it is greater than two thirds of the total
(``types/vote_set.go``, ``types/validation.go``).
"""

from __future__ import annotations

import typing as t

from .._path.verdict.verdict import Gauge


def quorum(total: int) -> int:
    """The least power that commits a block: floor(2 * total / 3) + 1. ValueError for a negative total."""
    if total < 0:
        raise ValueError(f"total voting power is negative: {total}")
    return 2 * total // 3 + 1


def halts(total: int, missing: int) -> bool:
    """Whether a chain of ``total`` power stands still while ``missing`` of it does not vote; exactly 1/3 does."""
    return total - missing < quorum(total)


def share_percent(power: int, total: int) -> str:
    """``power`` as percent of ``total`` with one decimal, rounded down; "0.0" where there is no total.

    Rounded down so that 66.66 never reads as 66.7, and in integers as all arithmetic of power.
    """
    if total <= 0:
        return "0.0"
    tenths = 1000 * power // total
    return f"{tenths // 10}.{tenths % 10}"


def gauge(total: int, voting: int, unknown: int = 0, table: t.Optional[int] = None) -> Gauge:
    """The power that is voting against the quorum. ``table``: the index of the table whose rows are its parts."""
    needed = quorum(total)
    return Gauge(
        "Voting power",
        total,
        needed,
        voting,
        words=f"{voting} of {total} voting power is voting; {needed} needed",
        line="quorum",
        legend="# voting, ? cannot tell, . not voting, | needed",
        unknown=unknown,
        unit="voting power",
        table=table,
    )
