# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages of the incidents quote of the screen is what the screen says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.tools.documents import code
from tools import places

PAGES = sorted((places.REPO / "docs/incidents").glob("*.md"))
# Headlines and headings of the screen are in capitals, and they are longer than the names of states and signals.
CAPITALS = re.compile(r"[A-Z][A-Z ,:]{7,}")


def said() -> str:
    """All texts of the plugins."""
    sources = sorted((places.REPO / "plugins").rglob("*.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in sources)


def quoted(page: Path) -> set[str]:
    return {piece for piece in code(page.read_text(encoding="utf-8")) if CAPITALS.fullmatch(piece)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_screen_says_so(page: Path) -> None:
    text = said()
    # A table's title stands in capitals on the screen only.
    assert [piece for piece in sorted(quoted(page)) if f'"{piece}'.lower() not in text.lower()] == []


def test_the_page_of_a_halt_quotes_the_screen() -> None:
    assert len(quoted(places.REPO / "docs/incidents/chain_halt.md")) >= 14
