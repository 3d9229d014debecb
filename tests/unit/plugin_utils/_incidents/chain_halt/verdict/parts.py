# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of evidence, for the composed bundles."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

UNIT = "virtengine.service"
START = datetime(2026, 1, 30, 12, 0, 0, tzinfo=timezone.utc)  # time of the newest block of the first look

Data = dict[str, t.Any]


def at(seconds: float) -> str:
    """A moment so many seconds after the block the chain stands at."""
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def ok(data: Data) -> Data:
    return {"ok": True, "data": data}


def bad(kind: str, text: str = "it did not work") -> Data:
    return {"ok": False, "error": {"kind": kind, "text": text}}


def mark(kind: str, text: str = "", current: bool = True, seconds: float = 5) -> Data:
    return {
        "kind": kind,
        "count": 1,
        "first_at": at(seconds),
        "last_at": at(seconds),
        "current": current,
        "text": text or f"a line about {kind}",
    }


SILENT = ("status", "abci_info", "consensus", "net_info", "validators", "blocks", "commits", "mempool", "jailed")


def unit(doing: str, look: int) -> Data:
    shown: Data = {
        "name": UNIT,
        "load_state": "loaded",
        "active_state": "active",
        "sub_state": "running",
        "unit_file_state": "enabled",
        "result": "success",
        "restarts": 0,
        "exit_kind": None,
        "exit_status": None,
        "main_pid": 100,
        "started_at": at(-80000),
        "stopped_at": None,
        "restart": "on-failure",
        "restart_delay_s": 10.0,
        "freezer_state": "running",
        "control_group": f"/system.slice/{UNIT}",
        "invocation_id": "aa",
    }
    down = {"main_pid": None, "stopped_at": at(3), "active_state": "inactive", "sub_state": "dead"}
    changes: dict[str, Data] = {
        "stopped": down,
        "killed": dict(
            down, active_state="failed", sub_state="failed", result="signal", exit_kind="killed", exit_status=9
        ),
        "failed": dict(
            down, active_state="failed", sub_state="failed", result="exit-code", exit_kind="exited", exit_status=1
        ),
        "crash_loop": dict(
            down,
            active_state="activating",
            sub_state="auto-restart",
            result="exit-code",
            restarts=10 + look,
            exit_kind="exited",
            exit_status=2,
        ),
        "frozen_group": {"freezer_state": "frozen"},
    }
    shown.update(changes.get(doing, {}))
    return shown


def process(doing: str) -> Data | None:
    if doing in ("stopped", "killed", "failed", "crash_loop"):
        return None
    return {
        "pid": 100,
        "state": "T" if doing == "frozen" else "S",
        "frozen": doing == "frozen_group",
        "exe": "/usr/bin/virtengine",
        "exe_deleted": False,
        "started_at": at(-80000),
        "in_unit": True,
    }


def config() -> Data:
    values = {
        "double_sign_check_height": 0,
        "halt_height": 0,
        "halt_time": 0,
        "priv_validator_laddr": "",
        "priv_validator_key_file": "config/priv_validator_key.json",
        "priv_validator_state_file": "data/priv_validator_state.json",
        "create_empty_blocks": True,
        "timeout_propose": "3s",
        "timeout_prevote": "1s",
        "timeout_precommit": "1s",
        "timeout_commit": "1s",
        "persistent_peers": "",
        "pex": True,
        "p2p_laddr": "tcp://0.0.0.0:26656",
    }
    return {key: {"value": value, "source": "config.toml", "why": None} for key, value in values.items()}
