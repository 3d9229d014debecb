# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person says about a halt: both parts or none, and nothing but a height and a reason reaches the evidence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.action.incident_open import statement, wrong_names
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle
from hypothesis import given
from hypothesis import strategies as st

SAID = {"halt_is_over": 221, "reason": "call of 12:05"}


def empty() -> dict[str, Any]:
    made: dict[str, Any] = bundle.new("chain_halt", "2026-01-30T12:00:00Z", {})
    return made


@pytest.mark.parametrize("height", [221, "221", " 221\n"])
def test_a_height_and_a_reason_become_a_statement(height: Any) -> None:
    assert statement(height, "call of 12:05") == SAID
    assert statement(None, None) is None


def test_the_reason_is_one_safe_line() -> None:
    said = statement(1, "a\x1b[31m\nb" + "x" * 1000)
    assert said is not None and "\x1b" not in said["reason"] and "\n" not in said["reason"]
    assert len(said["reason"]) == bundle.MAX_REASON
    assert bundle.check(json.loads(json.dumps(bundle.with_said(empty(), said))))["said"] == said


@pytest.mark.parametrize(
    ("height", "reason", "why"),
    [
        (221, None, "incident_halt_is_over_reason is missing"),
        (None, "x", "incident_halt_is_over is missing"),
        (221, "", "is empty"),
        (221, " \n\t", "is empty"),
        (221, "\u200b", "is empty"),
        (221, ["x"], "is empty or no text"),
        (221, 5, "is empty or no text"),
        (0, "x", "no height"),
        (-1, "x", "no height"),
        (True, "x", "no height"),
        (221.0, "x", "no height"),
        ("", "x", "no height"),
        ("0221", "x", "no height"),
        ("221 222", "x", "no height"),
        ("2" * 19, "x", "no height"),
        ("\u0661", "x", "no height"),
        ([221], "x", "no height"),
        ("\x1b[2J", "x", "no height"),
    ],
)
def test_half_a_statement_or_an_unclear_one_is_refused(height: Any, reason: Any, why: str) -> None:
    with pytest.raises(Refusal, match=why) as caught:
        statement(height, reason)
    assert "\x1b" not in str(caught.value) and "Nothing was done" in str(caught.value)


def test_the_variables_are_known() -> None:
    names = ["incident_halt_is_over", "incident_halt_is_over_reason", "incident_halt_over"]
    assert wrong_names(names, "chain_halt") == ["incident_halt_over"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"halt_is_over": 221},
        {"reason": "x"},
        {**SAID, "more": 1},
        {**SAID, "halt_is_over": "221"},
        {**SAID, "halt_is_over": True},
        {**SAID, "halt_is_over": 0},
        {**SAID, "halt_is_over": 2**63},
        {**SAID, "reason": ""},
        {**SAID, "reason": "a\nb"},
        {**SAID, "reason": "\x1b[2J"},
        {**SAID, "reason": "x" * 301},
        {**SAID, "reason": None},
    ],
)
def test_a_bundle_with_another_statement_is_no_evidence(said: Any) -> None:
    with pytest.raises(bundle.BadEvidence, match="said"):
        bundle.check({**empty(), "said": said})


@given(said=JSON, height=JSON, reason=JSON)
def test_no_shape_of_a_statement_raises_anything_else(said: Any, height: Any, reason: Any) -> None:
    for made in (said, {"halt_is_over": height, "reason": reason}):
        try:
            kept = bundle.check({**empty(), "said": made})["said"]
        except bundle.BadEvidence:
            continue
        assert isinstance(kept["halt_is_over"], int) and isinstance(kept["reason"], str)
    try:
        stated = statement(height, reason)
    except Refusal:
        return
    bundle.check(bundle.with_said(empty(), stated))


def test_without_a_statement_a_bundle_is_as_before_and_a_later_one_replaces_it() -> None:
    assert "said" not in empty() and bundle.with_said(empty(), None) == empty()
    first = bundle.with_said(empty(), SAID)
    assert bundle.with_said(first, None)["said"] == SAID
    assert bundle.with_said(first, {**SAID, "halt_is_over": 5})["said"]["halt_is_over"] == 5
    with pytest.raises(bundle.BadEvidence):
        bundle.with_said(empty(), {"halt_is_over": 1})
