# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts and the record say after the incident."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from testinfra.host import Host

RPC = "http://127.0.0.1:26657"
BLOCK_S = 30


def _height(host: Host) -> int:
    return int(
        json.loads(host.check_output(f"curl -s -m 5 {RPC}/status"))["result"]["sync_info"]["latest_block_height"]
    )


def test_the_node_runs(host: Host) -> None:
    service = host.service("virtengine.service")
    assert service.is_running
    assert service.is_enabled


def test_blocks_come(host: Host) -> None:
    before, deadline = _height(host), time.monotonic() + BLOCK_S
    while _height(host) <= before:
        assert time.monotonic() < deadline, f"no block after {before} in {BLOCK_S} s"
        time.sleep(1)


def test_its_validator_signs(host: Host) -> None:
    address = json.loads(host.check_output(f"curl -s -m 5 {RPC}/status"))["result"]["validator_info"]["address"]
    commit = json.loads(host.check_output(f"curl -s -m 5 '{RPC}/commit?height={_height(host) - 1}'"))
    signed = [one["validator_address"] for one in commit["result"]["signed_header"]["commit"]["signatures"]]
    assert address in signed


def test_only_the_stopped_node_was_started_anew(host: Host) -> None:
    started = int(host.check_output("systemctl show virtengine.service -p ExecMainStartTimestampMonotonic --value"))
    booted = int(host.check_output("systemctl show -p UserspaceTimestampMonotonic --value"))
    fresh = started - booted > 30_000_000
    assert fresh == (host.backend.get_hostname() == "vh1")


def test_no_lock_is_left(host: Host) -> None:
    assert (
        not host.file("/run/lock/virtengine-incident").exists
        or not host.file("/run/lock/virtengine-incident").listdir()
    )


def test_the_record_tells_the_whole_incident() -> None:
    (record,) = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "incidents").iterdir()
    entries = [json.loads(line) for line in (record / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    finished = [entry["data"] for entry in entries if entry["kind"] == "action_finished"]
    assert [(entry["host"], entry["ok"]) for entry in finished] == [("vh1", True)]
    assert entries[-1]["data"]["outcome"] == "recovered"
    assert (record / "report.html").stat().st_size > 10_000
