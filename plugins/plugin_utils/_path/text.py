# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that came from a host or from the network, made safe to show on one line."""

from __future__ import annotations

import typing as t
import unicodedata

LIMIT = 300

# Cc: control characters (terminal escapes begin with one), Cf: invisible ones (right-to-left marks), Cs: lone
# surrogates (cannot be written as UTF-8), Co/Cn: no agreed shape, Zl/Zp: line breaks that are no control characters.
_REMOVED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(value: t.Any, limit: int = LIMIT) -> str:
    """``value`` as one line of at most ``limit`` characters, without control, invisible and private characters.

    What is removed becomes a space, runs of spaces become one. A cut text ends in three dots, with a whole word before
    them unless that is a long one. A number of up to 20 digits is shown as Python writes it; anything else that is no
    string is the empty text.
    """
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**20):
        value = str(value)
    if not isinstance(value, str) or limit <= 0:
        return ""
    # Cut before the walk over the characters: a text of megabytes must not cost seconds.
    head = value[: 4 * limit + 64]
    line = head
    if not (head.isascii() and head.isprintable()):
        line = "".join(" " if unicodedata.category(sign) in _REMOVED else sign for sign in head)
    line = " ".join(line.split())
    if len(line) <= limit and len(head) == len(value):
        return line
    dots = "..."[:limit]
    kept = f"{line} "[: limit - len(dots) + 1]
    # Half a word, or half a number, would be misread; a word that fills half of it all is a path or a digest.
    blank = kept.rfind(" ")
    return (kept[:blank] if 2 * blank >= limit else kept[:-1].rstrip()) + dots
