# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers and names that are made to harm: each is one clear observation, and the run goes on."""

from __future__ import annotations

import pytest

from tests.scenarios import harm
from tests.scenarios.fleet import OURS, Fleet
from tests.scenarios.responder import Responder

pytestmark = pytest.mark.fleet

LIARS = {"vs1": "endless", "vh2": "html"}


def test_hostile_answers_and_names_change_nothing(halted: Fleet, responder: Responder) -> None:
    assert harm.NAME in halted.on("vh4", f"cat {harm.CONFIG}"), "vh4 has no hostile name"
    inventory = responder.site / "validators"
    lied = [
        f"{line} incident_node_rpc=http://127.0.0.1:{harm.PORT}"
        if line.split(" ")[0] in LIARS and "=" in line
        else line
        for line in inventory.read_text(encoding="utf-8").splitlines()
    ]
    inventory.write_text("\n".join(lied) + "\n", encoding="utf-8")
    try:
        for host, kind in LIARS.items():
            harm.answer(halted, host, kind)
        before = halted.units(*OURS)
        run = responder.run()
        assert run.code == 0, run.output
        assert run.causes == ["processes_down"]
        assert run.steps() == [("start_node", "vh1")]
        assert "uid=" not in run.output
        assert "\x1b" not in run.output
        (report,) = responder.site.glob("incidents/*/report.html")
        assert "<script>alert(1)" not in report.read_text(encoding="utf-8")
        (evidence,) = responder.site.glob("incidents/*/evidence-*.json")
        assert evidence.stat().st_size < 1_000_000
        assert "<script>alert(1)" in evidence.read_text(encoding="utf-8"), "the name was not seen at all"
        assert halted.units(*OURS) == before
    finally:
        for host in LIARS:
            harm.answer_no_more(halted, host)
