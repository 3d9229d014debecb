# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each cause made by its fault on the real fleet, told apart from its rivals, and recovered where that is right."""

from __future__ import annotations

import pytest

from tests.scenarios.fleet import Fleet
from tests.scenarios.responder import Responder, Run

pytestmark = pytest.mark.fleet


def state_of(run: Run, host: str) -> str:
    (row,) = [row for row in run.verdict["validators"] if row["host"] == host]
    return str(row["state"])


def test_frozen_process_is_thawed_and_not_restarted(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("freeze", "vh1")
    fleet.wait_until_halted("vh2")
    before = fleet.units("vh1")
    planned = responder.run()
    assert planned.causes == ["processes_down"]
    assert state_of(planned, "vh1") == "frozen"
    assert planned.steps() == [("thaw_node", "vh1")]
    recovered = responder.run("-e", f"incident_approve={planned.digest}")
    assert recovered.code == 0, recovered.output
    assert fleet.units("vh1") == before, "the frozen process was restarted"


def test_killed_process_and_a_stopped_one_come_back_by_power(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("stop", "vh3")
    fleet.fault("stop", "vh2")
    fleet.wait_until_halted("vh1")
    planned = responder.run()
    assert planned.steps() == [("start_node", "vh2"), ("start_node", "vh3")]
    recovered = responder.run("-e", f"incident_approve={planned.digest}")
    assert recovered.code == 0, recovered.output
    finished = [entry["data"] for entry in recovered.entries if entry["kind"] == "action_finished"]
    assert [entry["host"] for entry in finished] == ["vh2", "vh3"]
    assert all(entry["ok"] for entry in finished)
