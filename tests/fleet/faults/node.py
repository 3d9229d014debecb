# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what a node runs: the application's behaviour, its settings, its genesis, its binary."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tests.fleet import binary, chain, hooks, image, record, watch
from tests.fleet.faults.kind import Fault, NotMade, Saved, change_settings, choose, height, number
from tests.fleet.host import Box

FUTURE = timedelta(hours=2)
UPGRADE = "v2"


def _hook(key: str) -> Callable[[Box, Sequence[str]], Saved]:
    def inject(box: Box, arguments: Sequence[str]) -> Saved:
        value = number(arguments[0]) if key == "slow_block_ms" else height(box, arguments[0])
        hooks.change(box, key, value)
        return {"at": value}

    return inject


def _halt_height(box: Box, arguments: Sequence[str]) -> Saved:
    at = height(box, arguments[0])
    chain.set_values(box.home / "config/app.toml", {("", "halt-height"): str(at)})
    box.must("systemctl", "restart", image.UNIT)
    return {"at": at}


def _dsch(box: Box, arguments: Sequence[str]) -> Saved:
    value = str(number(arguments[0]))
    return change_settings(box, {("config.toml", "consensus", "double_sign_check_height"): value})


def _impatient(box: Box, _arguments: Sequence[str]) -> Saved:
    """No proposal of another node comes within a millisecond: it prevotes nil, round after round."""
    values = {
        ("config.toml", "consensus", "timeout_propose"): '"1ms"',
        ("config.toml", "consensus", "timeout_propose_delta"): '"0s"',
    }
    saved = change_settings(box, values)
    box.must("systemctl", "restart", image.UNIT)
    return saved


def _no_empty_blocks(box: Box, _arguments: Sequence[str]) -> Saved:
    saved = change_settings(box, {("config.toml", "consensus", "create_empty_blocks"): "false"})
    box.must("systemctl", "restart", image.UNIT)
    return saved


def _genesis(box: Box, arguments: Sequence[str]) -> Saved:
    how = choose("genesis", arguments[0], ("other", "future"))
    path = box.home / "config/genesis.json"
    genesis: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    saved: Saved = {"copy": str(box.directory / "genesis.json"), "how": how}
    box.must("systemctl", "stop", image.UNIT)
    shutil.copy2(path, saved["copy"])
    if how == "other":
        genesis["chain_id"] = f"{genesis['chain_id']}-other"
    else:
        genesis["genesis_time"] = (datetime.now(timezone.utc) + FUTURE).strftime("%Y-%m-%dT%H:%M:%SZ")
        # A node with data goes by the genesis that it keeps there, so this one begins anew. Its signing state stays.
        saved["data"] = str(box.disk / "data-aside")
        (box.home / "data").rename(saved["data"])
        (box.home / "data").mkdir()
        shutil.copy2(f"{saved['data']}/priv_validator_state.json", box.home / "data")
        box.own(box.home / "data")
    path.write_text(json.dumps(genesis, indent=1), encoding="utf-8")
    box.must("systemctl", "start", image.UNIT)
    return saved


def _new_binary(box: Box, arguments: Sequence[str]) -> Saved:
    """The binary of an upgrade, as if somebody had installed it on this host."""
    name = arguments[0] if arguments else UPGRADE
    built = binary.layer(name)
    found = record.load(box.names)
    before = watch.heights(box.names, [box.name])[box.name]
    box.must("systemctl", "stop", image.UNIT)
    box.install_binary(built)
    box.must("systemctl", "start", image.UNIT)
    return {"binary": found.binary if found else None, "at": before}


def _old_binary(box: Box, _arguments: Sequence[str]) -> Saved:
    """The binary from before the upgrade, as if somebody had put it back on this host."""
    found = record.load(box.names)
    newer = [fault for fault in found.faults if fault["kind"] == "new-binary"] if found else []
    has = next((fault for fault in newer if fault["where"] == box.name and "begun" not in fault), None)
    if found is None or has is None:
        raise NotMade(f"old-binary: {box.name} has no other binary than the rig's: make it a new-binary first")
    box.must("systemctl", "stop", image.UNIT)
    box.install_binary(Path(found.binary))
    box.must("systemctl", "start", image.UNIT)
    return {"binary": str(binary.layer(has["arguments"][0] if has["arguments"] else UPGRADE))}


FAULTS = (
    Fault("app-hash", "HOST HEIGHT", "the node computes another app hash at a height", _hook("app_hash_at"), 1, 1),
    Fault("panic", "HOST HEIGHT", "the node panics at a height, and at every replay", _hook("panic_at"), 1, 1),
    Fault("reject", "HOST HEIGHT", "the node rejects proposals from a height on", _hook("reject_at"), 1, 1),
    Fault("slow", "HOST MS", "each block takes the node so much longer", _hook("slow_block_ms"), 1, 1),
    Fault("halt-height", "HOST HEIGHT", "app.toml's halt-height is set and the node restarted", _halt_height, 1, 1),
    Fault("dsch", "HOST N", "double_sign_check_height is N from the next start on", _dsch, 1, 1),
    Fault("impatient", "HOST", "it waits a millisecond for a proposal and votes nil", _impatient, once=True),
    Fault("no-empty-blocks", "HOST", "it makes no block without transactions", _no_empty_blocks, once=True),
    Fault("genesis", "HOST other|future", "another genesis, or one two hours ahead", _genesis, 1, 1, once=True),
    Fault("new-binary", "HOST [NAME]", "it runs the binary that knows an upgrade (v2)", _new_binary, 0, 1, once=True),
    Fault("old-binary", "HOST", "it runs the binary from before its new-binary again", _old_binary, once=True),
)
