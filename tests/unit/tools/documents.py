# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project's Markdown says: its code, its links, its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tools import places

_FENCED = re.compile(r"^```.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# An indented line behind an empty one begins a block; in a list an item's text has the same indent, but no empty line.
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4,}.*\n|\n(?= {4}))+)")
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def documents() -> list[Path]:
    """Every Markdown file of the checkout."""
    return [places.REPO / path for path in places.project_files() if path.suffix == ".md"]


def code(text: str) -> Iterator[str]:
    """The code of a page: each block, its continued lines joined, line by line; then each inline piece as one line."""
    blocks = _FENCED.findall(text)
    prose = _FENCED.sub("\n", text)
    blocks += _INDENTED.findall(prose)
    for block in blocks:
        yield from (line.strip() for line in re.sub(r"\\\n", " ", block).splitlines() if line.strip())
    for piece in _INLINE.findall(_INDENTED.sub("\n", prose)):
        yield " ".join(piece.split())


def links(text: str) -> list[str]:
    """Where the links of a page go, but for those to other sites."""
    prose = _INLINE.sub("", _FENCED.sub("\n", text))
    return [target for target in _LINK.findall(prose) if "://" not in target]


def anchors(text: str) -> set[str]:
    """What the headings of a page are linked by (GitHub's rule)."""
    headings = _HEADING.findall(_FENCED.sub("\n", text))
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}
