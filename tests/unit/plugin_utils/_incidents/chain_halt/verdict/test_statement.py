# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person states about a halt: both parts or none, and nothing but a height and a reason reaches the evidence."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.variables import MAX_REASON
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as bundles
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Misuse

STATED = {"incident_halt_is_over": 221, "incident_halt_is_over_reason": "call of 12:05"}


def stated(height: t.Any, reason: t.Any) -> dict[str, t.Any]:
    return CHAIN_HALT.settings({"incident_halt_is_over": height, "incident_halt_is_over_reason": reason})


@pytest.mark.parametrize("height", [221, "221", " 221\n"])
def test_a_height_and_a_reason_become_a_statement(height: t.Any) -> None:
    assert stated(height, "call of 12:05") == STATED
    assert stated(None, None) == {}


def test_the_reason_is_one_safe_line() -> None:
    kept = stated(1, "a\x1b[31m\nb" + "x" * 1000)
    reason = kept["incident_halt_is_over_reason"]
    assert "\x1b" not in reason and "\n" not in reason
    assert len(reason) == MAX_REASON
    assert bundles.new(CHAIN_HALT, "2026-01-30T12:00:00Z", {}, settings=kept)["settings"] == kept


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
def test_half_a_statement_or_an_unclear_one_is_refused(height: t.Any, reason: t.Any, why: str) -> None:
    with pytest.raises(Misuse, match=why) as caught:
        stated(height, reason)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "saved",
    [
        {"incident_halt_is_over": 221},
        {"incident_halt_is_over_reason": "x"},
        {**STATED, "more": 1},
        {**STATED, "incident_halt_is_over": "221"},
        {**STATED, "incident_halt_is_over": True},
        {**STATED, "incident_halt_is_over": 2**63},
        {**STATED, "incident_halt_is_over_reason": "a\nb"},
        {**STATED, "incident_halt_is_over_reason": "x" * 301},
        {**STATED, "incident_halt_is_over_reason": None},
        {"incident_reference_rpcs": ["http://a:1"]},
    ],
)
def test_saved_evidence_with_another_statement_is_none(saved: dict[str, t.Any]) -> None:
    with pytest.raises(bundles.BadEvidence, match="settings"):
        bundles.check({**bundles.new(CHAIN_HALT, "2026-01-30T12:00:00Z", {}), "settings": saved}, CHAIN_HALT)


def test_every_variable_of_a_halt_is_known_to_the_registry() -> None:
    assert registry.variables() >= {*STATED, "incident_chain_id", "incident_validator_address", "incident_node_home"}
    assert not registry.variables() & {"incident_approve", "incident_target"}
