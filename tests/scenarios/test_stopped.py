# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: a stopped validator halts the chain; diagnosed, refused, approved, recovered, recorded."""

from __future__ import annotations

import json

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain

from tests.scenarios.fleet import OURS, Fleet
from tests.scenarios.responder import Responder

pytestmark = pytest.mark.fleet

ANY_DIGEST = "chain_halt-0123456789abcdef"


def test_the_newest_ansible_core_and_saved_evidence_give_the_same_verdict_and_plan(
    halted: Fleet, responder: Responder, newest: Responder
) -> None:
    live = responder.run()
    (evidence,) = responder.site.glob("incidents/*/evidence-*.json")
    assert json.loads(evidence.read_text(encoding="utf-8"))["schema"] == "virtengine.incident.evidence/2"
    assert len(evidence.read_bytes()) < 1_000_000
    other = newest.run()
    assert other.causes == live.causes
    assert other.digest == live.digest
    replayed = newest.run("-e", f"incident_evidence={evidence}", inventory="/dev/null")
    assert replayed.code == 0
    assert live.verdict["summary"][:60] in " ".join(replayed.output.split())
    both = responder.run("-e", f"incident_evidence={evidence}", "-e", f"incident_approve={live.digest}")
    assert both.code != 0
    assert "incident_evidence and incident_approve" in both.output


def test_stopped_validator_from_halt_to_record(halted: Fleet, responder: Responder) -> None:
    height = halted.wait_until_halted("vh2")
    before = halted.units(*OURS)

    planned = responder.run()
    assert planned.code == 0, planned.output
    assert planned.verdict["status"] == "incident"
    assert planned.verdict["confirmed"] is True
    assert planned.causes == ["processes_down"]
    assert planned.verdict["details"]["height"] == height
    assert planned.verdict["details"]["power"]["total"] == 100
    assert planned.steps() == [("start_node", "vh1")]
    assert halted.units(*OURS) == before, "a run without approval changed a host"

    refused = responder.run("-e", f"incident_approve={ANY_DIGEST}")
    assert refused.code != 0
    assert "Nothing was done" in refused.output
    number = responder.run("-e", '{"incident_approve": 1234567}')
    assert number.code != 0
    assert "number" in number.output
    checked = responder.run("--check", "-e", f"incident_approve={planned.digest}")
    assert checked.code == 0
    assert checked.entries == [], "check mode wrote a record"
    assert halted.units(*OURS) == before, "a refused or a check run changed a host"

    # Two people approve at the same moment.
    both = responder.run_twice_at_once("-e", f"incident_approve={planned.digest}")
    assert any(run.code == 0 for run in both)
    entries = both[0].entries
    assert len({entry["run"] for entry in entries if entry["kind"] == "action_started"}) == 1, "two runs acted"
    (acted,) = [entry["run"] for entry in entries if entry["kind"] == "action_finished"]
    (ended,) = [entry["data"] for entry in entries if entry["run"] == acted and entry["kind"] == "run_finished"]
    assert ended["outcome"] == "recovered"
    halted.wait_for_blocks("vh1")
    after = halted.units(*OURS)
    assert {host for host in OURS if after[host] != before[host]} == {"vh1"}, "another host than the plan's was changed"

    again = responder.run()
    assert again.code == 0
    assert "THE CHAIN RUNS ===" in again.output
    assert "NO STEP IS PLANNED" in again.output
    assert again.entries == [], "a healthy chain left a record"
    assert halted.units(*OURS) == after, "a second run changed a host"
    used = responder.run("-e", f"incident_approve={planned.digest}")
    assert used.code != 0
    assert "used before" in used.output
    assert halted.units(*OURS) == after

    for journal in responder.site.glob("incidents/*/journal.jsonl"):
        lines = journal.read_text(encoding="utf-8").splitlines()
        assert hash_chain.verify(lines).seq == len(lines)
        assert (journal.parent / "report.html").exists()
    text = "".join(path.read_text(encoding="utf-8") for path in responder.site.glob("incidents/*/*") if path.is_file())
    for secret in ("priv_key", "signbytes", '"signature"', "PRIVATE KEY"):
        assert secret not in text, f"the record holds {secret}"


@pytest.mark.more
def test_a_digest_of_a_changed_world_is_refused_with_the_difference(halted: Fleet, responder: Responder) -> None:
    planned = responder.run()
    halted.fault("stop", "vh3")
    before = halted.units(*OURS)
    refused = responder.run("-e", f"incident_approve={planned.digest}")
    assert refused.code != 0
    assert "Something changed since" in refused.output
    assert "vh3" in refused.output
    assert halted.units(*OURS) == before
