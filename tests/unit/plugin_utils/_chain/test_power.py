# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of voting power, against fractions and against the table of the consensus code."""

from __future__ import annotations

from fractions import Fraction

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import power as _power
from hypothesis import given
from hypothesis import strategies as st

TOTALS = st.integers(min_value=1, max_value=(2**63 - 1) // 8)


@pytest.mark.parametrize(
    ("total", "quorum", "halts_at"),
    [
        (1, 1, 1),
        (2, 2, 1),
        (3, 3, 1),
        (4, 3, 2),
        (5, 4, 2),
        (6, 5, 2),
        (7, 5, 3),
        (9, 7, 3),
        (100, 67, 34),
    ],
)
def test_the_table(total: int, quorum: int, halts_at: int) -> None:
    assert _power.quorum(total) == quorum
    assert _power.halts(total, halts_at)
    assert not _power.halts(total, halts_at - 1)


@given(st.integers(min_value=1, max_value=(2**63 - 1) // 24))
def test_exactly_one_third_missing_halts(third: int) -> None:
    assert _power.halts(3 * third, third)
    assert not _power.halts(3 * third, third - 1)


@given(TOTALS, st.data())
def test_halts_means_that_the_rest_is_not_more_than_two_thirds(total: int, data: st.DataObject) -> None:
    missing = data.draw(st.integers(min_value=0, max_value=total))
    assert _power.halts(total, missing) == (Fraction(total - missing, total) <= Fraction(2, 3))


@given(TOTALS)
def test_quorum_is_the_least_power_above_two_thirds(total: int) -> None:
    quorum = _power.quorum(total)
    assert 3 * quorum > 2 * total >= 3 * (quorum - 1)


def test_no_power_never_moves() -> None:
    assert _power.quorum(0) == 1
    assert _power.halts(0, 0)
    with pytest.raises(ValueError, match="negative"):
        _power.quorum(-1)


@pytest.mark.parametrize(
    ("power", "total", "shown"),
    [
        (1, 3, "33.3"),
        (2, 3, "66.6"),
        (100, 100, "100.0"),
        (0, 5, "0.0"),
        (1, 0, "0.0"),
        (125, 1000, "12.5"),
        (6667, 10000, "66.6"),
    ],
)
def test_shares_are_rounded_down(power: int, total: int, shown: str) -> None:
    assert _power.share_percent(power, total) == shown
