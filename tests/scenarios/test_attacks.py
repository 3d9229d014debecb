# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed, doubled, cut short or sent to the wrong hosts."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.scenarios.conftest import OURS
from tests.scenarios.fleet import Fleet
from tests.scenarios.responder import Responder

pytestmark = pytest.mark.fleet


def test_killed_run_leaves_its_lock_and_goes_on_under_its_digest(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("stop", "vh2")
    fleet.fault("stop", "vh3")
    fleet.wait_until_halted("vh1")
    planned = responder.run()
    process = responder.start("-e", f"incident_approve={planned.digest}")
    responder.kill_at(process, "step 1/2")
    after_kill = fleet.units(*OURS)

    looked = responder.run()
    assert "The lock of this chain is held by run-" in " ".join(looked.output.split())
    refused = responder.run("-e", f"incident_approve={planned.digest}")
    assert refused.code != 0
    assert "holds the lock" in refused.output
    owner = re.search(r"incident_break_lock=(run-[0-9a-f]+)", refused.output)
    assert owner, refused.output
    assert fleet.units("vh3") == {"vh3": after_kill["vh3"]}, "a run without the lock acted"

    wrong = responder.run("-e", f"incident_approve={planned.digest}", "-e", "incident_break_lock=run-00000000")
    assert wrong.code != 0

    resumed = responder.run("-e", f"incident_approve={planned.digest}", "-e", f"incident_break_lock={owner.group(1)}")
    assert resumed.code == 0, resumed.output
    assert resumed.entries[-1]["data"]["outcome"] == "recovered"
    fleet.wait_for_blocks("vh3")


def test_killed_while_the_double_sign_check_is_relaxed_it_comes_back(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("dsch", "vh1", "10")
    fleet.fault("stop", "vh1")
    fleet.wait_until_halted("vh2")
    planned = responder.run()
    process = responder.start("-e", f"incident_approve={planned.digest}")
    responder.kill_at(process, "step 2/3")
    assert "virtengine-incident" in fleet.on("vh1", "ls -R /run/systemd/system"), "the kill came before the setting"

    looked = responder.run()
    owner = re.search(r"held by (run-[0-9a-f]+)", " ".join(looked.output.split()))
    assert owner, looked.output
    resumed = responder.run("-e", f"incident_approve={planned.digest}", "-e", f"incident_break_lock={owner.group(1)}")
    assert resumed.code == 0, resumed.output
    assert "virtengine-incident" not in fleet.on("vh1", "ls -R /run/systemd/system"), "the check stays off"
    fleet.wait_for_blocks("vh1")


def test_two_responders_never_act_together(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("stop", "vh1")
    fleet.wait_until_halted("vh2")
    planned = responder.run()
    before = responder.mark()
    first = responder.start("-e", f"incident_approve={planned.digest}")
    second = responder.start("-e", f"incident_approve={planned.digest}")
    runs = [responder.finish(process, before) for process in (first, second)]
    entries = {entry["seq"]: entry for run in runs for entry in run.entries}
    acted = {entry["run"] for entry in entries.values() if entry["kind"] == "action_started"}
    assert len(acted) == 1, "two runs acted"
    assert sorted(run.code == 0 for run in runs) in ([False, True], [True, True])
    fleet.wait_for_blocks("vh1")


@pytest.mark.more
def test_a_record_host_that_is_away_stops_no_recovery(fleet: Fleet, responder: Responder) -> None:
    inventory = responder.site / "validators"
    lines = inventory.read_text(encoding="utf-8")
    (network,) = {address.rpartition(".")[0] for address in re.findall(r"ansible_host=(\S+)", lines)}
    lines = lines.replace("\nsentries\n", "\nsentries\nrecords\n")
    inventory.write_text(f"{lines}\n[records]\naway ansible_host={network}.99\n", encoding="utf-8")
    fleet.fault("stop", "vh1")
    fleet.wait_until_halted("vh2")
    planned = responder.run()
    assert "Not looked at" in planned.output
    run = responder.run("-e", f"incident_approve={planned.digest}", "-e", "incident_record_host=away")
    assert "== RECOVERED: THE CHAIN RUNS" in run.output
    assert run.code != 0
    assert "could not be copied to away" in " ".join(run.output.split())
    fleet.wait_for_blocks("vh1")


def test_half_and_all_hosts_unreachable(fleet: Fleet, responder: Responder) -> None:
    for host in ("vh1", "vh3", "vs1"):
        fleet.fault("cut", host)
    fleet.wait_until_halted("vh2")
    half = responder.run()
    assert half.code == 0, half.output
    assert half.verdict["status"] == "incident"
    # A host that was cut just after it voted may vote still, for all that anybody can see.
    assert half.causes in (["hosts_unreachable"], ["cannot_tell"])
    assert half.plan["steps"] == []
    for host in ("vh2", "vh4"):
        fleet.fault("cut", host)
    nobody = responder.run()
    assert nobody.code == 0, nobody.output
    assert nobody.verdict["status"] == "unknown"
    assert nobody.plan["steps"] == []


def test_host_that_hangs_after_login_is_late_and_stops_nothing(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("freeze-host", "vh1")
    fleet.wait_until_halted("vh2")
    started = time.monotonic()
    run = responder.run("-e", "incident_host_deadline=8")
    assert run.code == 0, run.output
    assert time.monotonic() - started < 90
    (row,) = [row for row in run.verdict["validators"] if row["host"] == "vh1"]
    assert row["state"] == "unreachable"
    assert run.plan["steps"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--limit", "vh1"), "incident_target"),
        (("--tags", "actions"), "--tags"),
        (("--start-at-task", "Remediate"), ""),
        (("-e", "incident_target=validatros"), "names no host"),
        (("-e", "incident_target="), "incident_target is empty"),
        (("-e", '{"_incident_guard": {"needed": true}}'), "_incident_guard"),
        (("-e", "incident_aprove=halt-0123456789abcdef"), "incident_aprove"),
    ],
)
def test_no_way_around_the_gate(fleet: Fleet, responder: Responder, arguments: tuple[str, ...], said: str) -> None:
    fleet.fault("stop", "vh1")
    before = fleet.units(*OURS)
    run = responder.run(*arguments, "-e", "incident_approve=halt-0123456789abcdef")
    assert said in run.output
    assert run.entries == [], "a run that was cut short reached the record"
    assert fleet.units(*OURS) == before


def test_empty_inventory_and_missing_group(fleet: Fleet, responder: Responder, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("[nobody]\n", encoding="utf-8")
    run = responder.run(inventory=str(empty))
    assert run.code != 0
    assert "names no host" in run.output


def test_a_host_of_another_chain_is_set_aside(fleet: Fleet, responder: Responder) -> None:
    genesis = "/var/lib/virtengine/.virtengine/config/genesis.json"
    fleet.on("vs1", f"systemctl stop virtengine.service && cp -p {genesis} /root/genesis.json")
    try:
        fleet.on("vs1", f"sed -i 's/virtengine-rig-1/other-chain-9/' {genesis}")
        fleet.fault("stop", "vh1")
        fleet.wait_until_halted("vh2")
        run = responder.run()
        assert run.code == 0, run.output
        assert run.verdict["chain_id"] == "virtengine-rig-1"
        assert ("start_node", "vs1") not in run.steps()
        assert "vs1" in " ".join(run.verdict["notes"] + [entry["why"] for entry in run.plan["withheld"]])
    finally:
        fleet.on("vs1", f"cp -p /root/genesis.json {genesis} && systemctl start virtengine.service")
