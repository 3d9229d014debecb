# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts that would sign twice: nothing makes the tool plan them."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import OURS
from tests.scenarios.fleet import Fleet
from tests.scenarios.responder import Responder

pytestmark = pytest.mark.fleet

SURE = ("-e", "incident_break_glass_reason='I am sure'")
SIGNING_STATE = "/var/lib/virtengine/.virtengine/data/priv_validator_state.json"


def test_standby_with_a_copied_key_is_never_started(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("standby", "vs1", "vh1")
    fleet.fault("stop", "vh1")
    fleet.wait_until_halted("vh2")
    before = fleet.units(*OURS)
    for arguments in ((), SURE):
        run = responder.run(*arguments)
        assert run.code == 0, run.output
        assert run.plan["steps"] == [], "a key that two hosts hold was planned to start"
        assert {entry["host"] for entry in run.plan["withheld"]} >= {"vh1", "vs1"}
    assert fleet.units(*OURS) == before


def test_signing_state_behind_its_own_votes_is_never_started(fleet: Fleet, responder: Responder) -> None:
    fleet.on("vh1", f"cp -p {SIGNING_STATE} /root/older-state.json")
    fleet.wait_for_blocks("vh1", 3)
    fleet.fault("stop", "vh1")
    fleet.wait_until_halted("vh2")
    fleet.on("vh1", f"cp -p {SIGNING_STATE} /root/true-state.json")
    try:
        fleet.on("vh1", f"cp -p /root/older-state.json {SIGNING_STATE}")
        before = fleet.units("vh1")
        run = responder.run(*SURE)
        assert run.code == 0, run.output
        assert run.plan["steps"] == []
        (withheld,) = [entry for entry in run.plan["withheld"] if entry["host"] == "vh1"]
        assert "signing state" in withheld["why"]
        assert "voted later" in withheld["why"]
        assert fleet.units("vh1") == before
    finally:
        fleet.on("vh1", f"cp -p /root/true-state.json {SIGNING_STATE}")
