# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every link between the project's pages leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tools.documents import anchors, documents, links
from tools import places


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    wrong = []
    for link in links(text):
        target, _sharp, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(places.REPO)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_a_wrong_link_is_found() -> None:
    readme = places.REPO / "README.md"
    assert broken(readme, "[a](docs/none.md) [b](#none) [c](docs/approval.md#none)") == [
        "docs/none.md",
        "#none",
        "docs/approval.md#none",
    ]
    assert broken(readme, "[a](docs/approval.md#break-glass) [b](https://example.org/x) `[c](none)`") == []
