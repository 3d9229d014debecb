# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts that would sign twice: nothing makes the tool plan them."""

from __future__ import annotations

import pytest

from tests.scenarios import harm
from tests.scenarios.fleet import HOME, OURS, Fleet
from tests.scenarios.responder import Responder

pytestmark = pytest.mark.fleet

SURE = ("-e", "incident_break_glass_reason='I am sure'")
SIGNING_STATE = f"{HOME}/data/priv_validator_state.json"
KEPT = "/root/signing-state.json"
# As a restored backup would have it: the height is one that the chain has seen signed.
SET_BACK = """
import json, sys
path = sys.argv[1]
state = json.load(open(path))
state["height"] = str(int(state["height"]) - 3)
state.pop("signature", None)
state.pop("signbytes", None)
json.dump(state, open(path, "w"))
"""


def test_standby_with_a_copied_key_is_never_started(halted: Fleet, responder: Responder) -> None:
    halted.fault("standby", "vs1", "vh1")
    try:
        before = halted.units(*OURS)
        for arguments in ((), SURE):
            run = responder.run(*arguments)
            assert run.code == 0, run.output
            assert run.plan["steps"] == [], "a key that two hosts hold was planned to start"
            assert {host for entry in run.plan["withheld"] for host in entry["hosts"]} >= {"vh1", "vs1"}
        assert halted.units(*OURS) == before
    finally:
        halted.heal("vs1", "standby")
        halted.wait_until_halted("vs1")


def test_signing_state_behind_its_own_votes_is_never_started(halted: Fleet, responder: Responder) -> None:
    halted.on("vh1", f"cp -p {SIGNING_STATE} {KEPT} && {harm.python(SET_BACK, SIGNING_STATE)}")
    try:
        before = halted.units("vh1")
        run = responder.run(*SURE)
        assert run.code == 0, run.output
        assert run.plan["steps"] == []
        (withheld,) = [entry for entry in run.plan["withheld"] if entry["hosts"] == ["vh1"]]
        assert "signing state" in withheld["why"]
        assert "voted later" in withheld["why"]
        assert halted.units("vh1") == before
    finally:
        halted.on("vh1", f"mv {KEPT} {SIGNING_STATE}")
