# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons that a plan takes away before it starts a node: done for real, killed in the middle, and undone."""

from __future__ import annotations

import time

import pytest

from tests.recorded.case import EVERY, VALIDATORS
from tests.scenarios.fleet import HOME, UNIT, Fleet
from tests.scenarios.responder import Responder, Run

pytestmark = pytest.mark.fleet

APP = f"{HOME}/config/app.toml"
WAL = f"{HOME}/data/cs.wal"
LOGS = f"{HOME}/logs"
NO_PEERS = """curl -s -m 10 http://127.0.0.1:26657/net_info | grep -q '"n_peers": *"0"'"""
# What a node logs once it has dialled a lost peer 20 times.
BACKS_OFF = f"journalctl -u {UNIT} --since @SINCE | grep -q 'Beginning exponential backoff'"
# Then it waits 3, 9, 27 and 81 s between two dials, and after that four minutes.
PAUSES_S = 140
# What fills the disk.
STUFFING = "/var/lib/virtengine/stuffing"


def cut_off_and_resumed(responder: Responder, planned: Run, *arguments: str) -> None:
    """The plan is approved, the run is killed in its second step, and the next one ends in a recovery."""
    approve = (*arguments, "-e", f"incident_approve={planned.digest}")
    responder.kill_at(responder.start(*approve), "step 2/")
    again = responder.run(*approve, "-e", f"incident_break_lock={responder.last_run()}")
    assert again.code == 0, again.output
    assert again.entries[-1]["data"]["outcome"] == "recovered"


def test_a_halt_height_is_cleared_when_a_person_says_it_is_over(fleet: Fleet, responder: Responder) -> None:
    fleet.on("vh1", f"rm -f {APP}.incident-*")
    fleet.fault("halt-height", "vh1", "+5")
    height = fleet.wait_until_halted("vh2")
    planned = responder.run()
    assert planned.causes[0] == "halt_height"
    assert planned.plan["steps"] == []
    assert "coordinated halt" in planned.output
    before = fleet.on("vh1", f"cat {APP}")

    said = ("-e", f"incident_halt_is_over={height}", "-e", "incident_halt_is_over_reason='agreed with all'")
    planned = responder.run(*said)
    assert planned.steps() == [("stop_node", "vh1"), ("clear_halt_height", "vh1"), ("start_node", "vh1")]

    cut_off_and_resumed(responder, planned, *said)
    after = fleet.on("vh1", f"cat {APP}")
    assert [line for line in after.splitlines() if line not in before.splitlines()] == ["halt-height = 0"]

    undo = f"systemctl stop {UNIT} && mv {APP}.incident-* {APP} && cat {APP}"
    assert fleet.on("vh1", undo) == before


@pytest.mark.more
def test_a_lost_log_is_put_back_from_its_copy_on_every_validator(fleet: Fleet, responder: Responder) -> None:
    for host in VALIDATORS:
        fleet.fault("reject", host, "+3")
    fleet.wait_until_halted("vh2")
    # A single node that kept the votes of the rounds would hand them to all others.
    for host in EVERY:
        fleet.fault("stop", host)
    for host in EVERY:
        fleet.fault("wal-lost", host)
    fleet.heal("all", "reject")
    planned = responder.run()
    assert planned.causes[0] == "wal_lost"
    hosts = ("vh1", "vh2", "vh3", "vh4")
    wanted = [(action, host) for host in hosts for action in ("stop_node", "put_wal_back", "start_node")]
    assert planned.steps() == wanted

    cut_off_and_resumed(responder, planned)
    fleet.wait_for_blocks("vh2")
    places = fleet.on("vh1", f"ls -d {WAL} {WAL}.*").split()
    (aside,) = [place for place in places if ".incident-" in place]
    assert f"{WAL}.bak" not in places

    undo = f"systemctl stop {UNIT} && mv {WAL} {WAL}.bak && mv {aside} {WAL} && ls -d {WAL} {WAL}.*"
    assert fleet.on("vh1", undo).split() == [WAL, f"{WAL}.bak"]


@pytest.mark.more
def test_a_full_disk_gets_room_from_its_old_logs_and_the_node_comes_back(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("old-logs", "vh1")
    before = fleet.on("vh1", f"cd {LOGS} && sha256sum * && stat -c '%n %Y %U %a' *")
    fleet.fault("disk-full", "vh1")
    fleet.wait_until_halted("vh2")
    without_room = responder.run()
    assert without_room.causes[0] == "disk_full" and without_room.steps() == []
    assert "there is room to compress 0 MB of them" in " ".join(without_room.output.split())

    fleet.on("vh1", f"truncate --size=-20M {STUFFING}")
    planned = responder.run()
    assert planned.causes[0] == "disk_full"
    assert planned.steps() == [("stop_node", "vh1"), ("free_space", "vh1"), ("start_node", "vh1")]

    cut_off_and_resumed(responder, planned)
    assert f".incident-{planned.digest}.gz" in fleet.on("vh1", f"ls {LOGS}")

    # What fills the disk is away again, so that what was compressed has room.
    fleet.heal("vh1", "disk-full")
    undo = planned.plan["steps"][1]["undo"].partition(": ")[2]
    fleet.on("vh1", f"{undo} || true")
    assert fleet.on("vh1", f"cd {LOGS} && sha256sum * && stat -c '%n %Y %U %a' *") == before


@pytest.mark.more
def test_where_the_network_is_open_again_a_sentry_dials_and_no_validator_is_restarted(
    fleet: Fleet, responder: Responder
) -> None:
    since = fleet.on("vh1", "date +%s").strip()
    for host in EVERY:
        fleet.fault("slow-redial", host)
    fleet.wait_for_blocks("vh2")
    for host in EVERY:
        fleet.fault("p2p-closed", host)
    fleet.wait_until_halted("vh2")
    fleet.until(EVERY, NO_PEERS)
    closed = responder.run()
    assert closed.causes[0] == "few_peers"
    assert closed.plan["steps"] == []
    fleet.until(EVERY, BACKS_OFF.replace("SINCE", since))
    time.sleep(PAUSES_S)
    fleet.heal("all", "p2p-closed")
    planned = responder.run()
    assert planned.causes[0] == "few_peers"
    # A validator that alone has the newest block is not stopped.
    hosts = [host for action, host in planned.steps() if action == "stop_node"]
    assert planned.steps() == [(action, host) for host in hosts for action in ("stop_node", "start_node")]
    assert hosts[0] == "vs1" and len(set(hosts)) == len(hosts) >= 4
    assert "it dials next between" in planned.output

    before = fleet.units("vh1", "vh2", "vh3", "vh4")
    cut_off_and_resumed(responder, planned)
    assert fleet.units("vh1", "vh2", "vh3", "vh4") == before, "a validator was restarted, though the sentry dialled it"
