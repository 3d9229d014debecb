# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``plan`` gives the plan of the path, and says what it was given where that is no bundle."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.virtengine.incident.plugins.filter.plan import FilterModule

from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import Host, bundle
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_plan import small

PLAN = FilterModule().filters()["plan"]


def test_a_bundle_becomes_its_plan() -> None:
    net = small()
    net.theirs["d"] = (10, True)
    assert [step["hosts"][0] for step in PLAN(bundle(net))["steps"]] == ["v2", "v3"]


def test_break_glass_is_handed_on_and_blank_is_none() -> None:
    evidence = bundle(small(v4=Host("unreachable")))
    assert PLAN(evidence)["steps"] == PLAN(evidence, "  ")["steps"] == []
    assert PLAN(evidence, "v4 is switched off")["steps"]


@pytest.mark.parametrize(
    "wrong", [None, [], "text", {}, {"schema": "other"}, dict(bundle(small()), incident="no_such")]
)
def test_what_is_no_evidence_is_an_error_of_the_filter(wrong: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="no evidence to plan from"):
        PLAN(wrong)
