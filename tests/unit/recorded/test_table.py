# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages about the causes are what the causes and bundles say, and composed bundles show what they are said to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.order import CAUSES
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.cause import Cause

from tests.recorded import losses, tabulator
from tests.recorded.composed import COMPOSED, Composed
from tests.recorded.kept import BUNDLES, kept

BY_NAME = {one.name: one for one in kept()}


def test_the_pages_are_what_the_generator_writes() -> None:
    """When this fails: python3 -m tests.recorded.table."""
    assert tabulator.stale() == []


def test_every_cause_is_on_one_page() -> None:
    shown = [cause.id for _title, causes in tabulator.PAGES.values() for cause in causes]
    assert sorted(shown) == sorted(cause.id for cause in CAUSES)


@pytest.mark.parametrize("cause", CAUSES, ids=[cause.id for cause in CAUSES])
def test_every_cause_says_how_it_shows(cause: Cause) -> None:
    assert 40 <= len(cause.signs) <= 400
    assert cause.signs.endswith((".", '".'))


def test_what_a_person_wrote_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "chain_halt.md"
    monkeypatch.setattr(tabulator, "INDEX", page)
    monkeypatch.setattr(tabulator, "kept", list)
    page.write_text(f"# By hand\n\nA line.\n{tabulator.MARKER}\nold\n", encoding="utf-8")
    text = tabulator.pages()[page]
    assert text.startswith(f"# By hand\n\nA line.\n{tabulator.MARKER}\n\n## The causes\n")
    assert "\nold\n" not in text
    page.write_text(text, encoding="utf-8")
    assert tabulator.pages()[page] == text, "written a second time it is another page"


def test_a_page_without_its_marker_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "chain_halt.md"
    monkeypatch.setattr(tabulator, "INDEX", page)
    monkeypatch.setattr(tabulator, "kept", list)
    page.write_text("# By hand\n", encoding="utf-8")
    with pytest.raises(tabulator.NoMarker, match="has no line"):
        tabulator.pages()


def test_a_run_that_said_something_else_is_shown() -> None:
    """The seconds are of that run, so its verdict stands beside that of today."""
    assert {one.name for one in kept() if one.then is None} == {one.name for one in COMPOSED}
    now = losses.judge(BY_NAME["stopped"].bundle()).verdict
    found = {cause["id"]: cause["role"] for cause in now["causes"]}
    same = replace(BY_NAME["stopped"], then=(now["status"], found))
    assert "; then:" not in tabulator._row(same)
    for then, words in ((("incident", {"cannot_tell": "root"}), "cannot_tell"), (("healthy", found), "healthy: ")):
        assert f"; then: {words}" in tabulator._row(replace(same, then=then))


def test_every_composed_bundle_has_an_entry() -> None:
    assert sorted(path.stem for path in BUNDLES.glob("*.json")) == sorted(one.name for one in COMPOSED)


@pytest.mark.parametrize("one", COMPOSED, ids=[one.name for one in COMPOSED])
def test_a_composed_bundle_gives_the_verdict_of_its_entry(one: Composed) -> None:
    verdict = losses.judge(BY_NAME[one.name].bundle()).verdict
    seen = {cause["id"]: cause["role"] for cause in verdict["causes"]}
    assert (verdict["status"], seen) == (one.status, one.causes)
