# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts and the record say after the incident."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from testinfra.host import Host

RPC = "http://127.0.0.1:26657"
# A state is waited for; a machine with much other work comes to it late.
PATIENCE_S = 300


def _ask(host: Host, query: str) -> Any:
    return json.loads(host.check_output(f"curl -s -m 30 '{RPC}/{query}'"))["result"]


def _height(host: Host) -> int:
    return int(_ask(host, "status")["sync_info"]["latest_block_height"])


def _until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE_S} s"
        time.sleep(1)


def _entries() -> list[dict[str, Any]]:
    (record,) = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "incidents").iterdir()
    return [json.loads(line) for line in (record / "journal.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_node_runs(host: Host) -> None:
    service = host.service("virtengine.service")
    assert service.is_running
    assert service.is_enabled


def test_blocks_come(host: Host) -> None:
    before = _height(host)
    _until(f"a block after {before}", lambda: _height(host) > before)


def test_its_validator_signs(host: Host) -> None:
    address = _ask(host, "status")["validator_info"]["address"]

    def signs() -> bool:
        commit = _ask(host, f"commit?height={_height(host) - 1}")["signed_header"]["commit"]
        return address in [one["validator_address"] for one in commit["signatures"]]

    _until(f"a commit with the signature of {address}", signs)


def test_only_the_stopped_node_was_started_anew(host: Host) -> None:
    started = int(host.check_output("systemctl show virtengine.service -p ExecMainStartTimestampMonotonic --value"))
    up = float(host.check_output("cat /proc/uptime").split()[0])
    at = datetime.fromtimestamp(time.time() - (up - started / 1_000_000), timezone.utc)
    # The first run began when the chain stood already.
    diagnosed = datetime.fromisoformat(_entries()[0]["at"].replace("Z", "+00:00"))
    assert (at > diagnosed) == (host.backend.get_hostname() == "vh1")


def test_no_lock_is_left(host: Host) -> None:
    assert (
        not host.file("/run/lock/virtengine-incident").exists
        or not host.file("/run/lock/virtengine-incident").listdir()
    )


def test_the_record_tells_the_whole_incident() -> None:
    entries = _entries()
    finished = [entry["data"] for entry in entries if entry["kind"] == "action_finished"]
    assert [(entry["hosts"], entry["ok"]) for entry in finished] == [(["vh1"], True)]
    assert entries[-1]["data"]["outcome"] == "recovered"
    (report,) = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "incidents").glob("*/report.html")
    assert report.stat().st_size > 10_000
