# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and numbers of evidence: what counts as one, and what is none."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1971-01-01T00:00:00Z", 31536000.0),
        ("2026-01-30T12:00:00.123456789Z", 1769774400.123456),
        ("2026-01-30T14:00:00+02:00", 1769774400.0),
        ("0001-01-01T00:00:00Z", None),
        ("2026-01-30 12:00:00", None),
        ("2026-02-30T12:00:00Z", None),
        ("", None),
        (None, None),
        (1769774400, None),
    ],
)
def test_times(text: t.Any, seconds: float | None) -> None:
    assert values.seconds(text) == (None if seconds is None else pytest.approx(seconds, abs=1e-5))


def test_stamps() -> None:
    assert values.stamp(1769774400.9) == "2026-01-30T12:00:00Z"
    for nothing in (None, float("nan"), float("inf"), -5.0, 1e30):
        assert values.stamp(nothing) is None


@pytest.mark.parametrize("value", ["5", 5.0, True, None, 2**63, -(2**63) - 1, [5]])
def test_no_integers(value: t.Any) -> None:
    assert values.integer(value) is None
