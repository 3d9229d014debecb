# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of evidence, read without trust: times and numbers. PRIVATE to the collection."""

from __future__ import annotations

import functools
import math
import re
import typing as t
from datetime import datetime, timezone

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
_INT64 = 2**63


@functools.lru_cache(maxsize=32768)
def _seconds(text: str) -> t.Optional[float]:
    if len(text) > 40 or not _TIME.fullmatch(text):
        return None
    try:
        # Years below 1971 are Go's zero time and the like: "never", not a time something happened at.
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment.timestamp() if moment.year > 1970 else None
    except (ValueError, OverflowError):
        return None


def seconds(value: t.Any) -> t.Optional[float]:
    """An RFC 3339 time as seconds since the epoch; None for anything else and for times before 1971."""
    return _seconds(value) if isinstance(value, str) else None


def stamp(moment: t.Optional[float]) -> t.Optional[str]:
    """Seconds since the epoch as RFC 3339 in UTC, cut to whole seconds; None stays None."""
    if moment is None or not math.isfinite(moment) or not 0 <= moment < 253402300800:
        return None
    return datetime.fromtimestamp(math.floor(moment), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def integer(value: t.Any) -> t.Optional[int]:
    """``value`` where it is an integer that fits 64 bits, else None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -_INT64 <= value < _INT64 else None


def number(value: t.Any) -> t.Optional[float]:
    """``value`` as float where it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int) and integer(value) is None:
        return None
    return float(value) if math.isfinite(value) else None
