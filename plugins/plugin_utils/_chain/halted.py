# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a chain is halted, as far as the looks so far can tell."""

from __future__ import annotations

import typing as t

from .reading.types import Reading


def standing(reading: Reading) -> t.Optional[bool]:
    """Whether the chain is halted: True also after one look that shows it clearly, None where nobody can tell."""
    if reading.stands_still is not None:
        return reading.stands_still
    old = reading.age_s is not None and reading.age_s > reading.threshold_s
    return True if old and not (reading.moved or reading.idle or reading.split) else None
