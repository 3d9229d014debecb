# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cause as an object: short enough to list, checked by hand, and true to the actions that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes import order
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.cause import Cause

REPO = Path(__file__).resolve().parents[6]
CAUSES = order.CAUSES
PLACEHOLDERS = {"{hosts}", "{height}", "{because}"}

each = pytest.mark.parametrize("cause", CAUSES, ids=[cause.id for cause in CAUSES])


def test_ids_and_titles_are_unique() -> None:
    for names in ([cause.id for cause in CAUSES], [cause.title for cause in CAUSES]):
        assert len(names) == len(set(names))


@each
def test_it_can_be_listed_and_checked_by_hand(cause: Cause) -> None:
    assert re.fullmatch(r"[a-z_]+", cause.id)
    assert 0 < len(cause.title) <= 40
    assert cause.statement and not cause.statement.endswith(".")
    assert 1 <= len(cause.by_hand) <= 3
    assert re.match(r"^\d+\. [A-Z]", cause.runbook_step)
    assert cause.severity in (None, "SEV-1", "SEV-2", "SEV-3", "SEV-4")
    assert cause.predicate is not None or cause.detect is not None


@each
def test_its_texts_have_no_other_placeholders(cause: Cause) -> None:
    for text in (cause.next, cause.decide, cause.message):
        assert set(re.findall(r"\{[^}]*\}", text)) <= PLACEHOLDERS
        assert text.isprintable()


@each
def test_it_names_actions_that_exist(cause: Cause) -> None:
    actions = {path.stem for path in (REPO / "roles/chain_halt/tasks/actions").glob("*.yml")}
    assert actions
    assert set(cause.justifies) | set(cause.forbids) <= actions
    assert not set(cause.justifies) & set(cause.forbids)


@each
def test_who_justifies_nothing_says_what_a_person_does(cause: Cause) -> None:
    if cause.severity == "SEV-1" and not cause.justifies and cause.id not in ("cannot_tell",):
        assert cause.next
