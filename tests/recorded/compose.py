# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Composes the bundles ``tests/data/bundles/composed-*.json``: ``python3 -m tests.recorded.compose``, with Ansible at hand.

They show causes that no rig shows alone: its hosts share one clock, its nodes always make blocks, and none of its faults
ends consensus without a reason in the journal. The answers are those that the evidence documents (``docs/contracts.md``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.recorded.kept import BUNDLES
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Host, at, four, mark

Data = dict[str, Any]
REFERENCES = ("https://rpc.one.example", "https://rpc.two.example", "https://rpc.three.example")
OUT_OF_FILES = "Error: failed to initialize database: open /var/lib/virtengine/data/state.db: too many open files"


def _everywhere(fleet: Fleet, patch: Callable[[Data, int], None]) -> Fleet:
    for host in fleet.hosts:
        host.patch = patch
    return fleet


def _idle() -> Data:
    def patch(data: Data, look: int) -> None:
        data["config"]["data"]["create_empty_blocks"]["value"] = False
        data["rpc"]["consensus"]["data"].update(step=2, rounds=[{"round": 0, "prevotes": [], "precommits": []}])

    fleet = four(["mute"] * 5, step=2)
    return _everywhere(fleet, patch).bundle()


def _behind() -> Data:
    """Our hosts stand 40 blocks below what two RPCs of others show, and these move."""
    fleet = four(moving=True, references={url: {} for url in REFERENCES[:2]})
    bundle = fleet.bundle()
    stands = four(halted_s=60.0).bundle()
    ours = {(entry["host"], entry["look"]): entry for entry in stands["observations"]}
    old = {entry["host"]: ours[entry["host"], 1]["data"]["rpc"] for entry in stands["observations"]}
    for entry in bundle["observations"]:
        if entry["source"] == "node_evidence":
            entry["data"]["rpc"] = json.loads(json.dumps(old[entry["host"]]))
            _lower(entry["data"]["rpc"], 40)
    return bundle


def _lower(rpc: Data, blocks: int) -> None:
    """The answers of a node that stands so many blocks lower and catches up."""
    status, info, consensus = (rpc[name]["data"] for name in ("status", "abci_info", "consensus"))
    status.update(height=status["height"] - blocks, catching_up=True, block_hash="CD" * 32, block_time=at(-blocks))
    info.update(height=info["height"] - blocks)
    consensus.update(height=consensus["height"] - blocks, rounds=[])
    rpc["blocks"]["data"]["headers"] = []
    rpc["commits"] = {"ok": False, "error": {"kind": "late", "text": "no answer in time"}}


def _clock() -> Data:
    fleet = four(["stopped"])

    def patch(data: Data, look: int) -> None:
        data["clock"]["now"] = at(fleet.now(look) - 95)

    fleet.hosts[1].patch = patch
    return fleet.bundle()


def _lost_rounds(*rounds: int) -> Callable[[Data, int], None]:
    def patch(data: Data, look: int) -> None:
        if data["rpc"]["commits"]["ok"]:
            for commit, number in zip(data["rpc"]["commits"]["data"]["commits"], rounds):
                commit["round"] = number

    return patch


def _proposer() -> Data:
    return _everywhere(four(["voting", "voting", "voting", "stopped"], moving=True), _lost_rounds(0, 1, 0)).bundle()


def _slow() -> Data:
    return _everywhere(four(moving=True), _lost_rounds(1, 2, 0)).bundle()


def _consensus() -> Data:
    """The one line is all that the journal has."""
    said = 'ERR CONSENSUS FAILURE!!! err="runtime error: invalid memory address or nil pointer dereference"'
    fleet = four(["dead_consensus"])
    fleet.hosts[0].marks = [mark("consensus_failure", said)]
    fleet.hosts[0].vote = False
    return fleet.bundle()


def _files() -> Data:
    fleet = four(["crash_loop"])
    fleet.hosts[0].marks = [mark("too_many_open_files", OUT_OF_FILES)]
    return fleet.bundle()


def _refused() -> Data:
    """Three RPCs of strangers, which validators serve, and no host to look into."""
    fleet = four(references={url: {} for url in REFERENCES})
    fleet.hosts = [Host(host.name, host.power, observed=False, declared=False) for host in fleet.hosts]
    bundle = fleet.bundle()
    bundle["inventory"] = {}
    members = [member for member, _power in fleet.members()]
    for entry in bundle["observations"]:
        rpc = entry["data"]
        status, info = rpc["status"]["data"], rpc["abci_info"]["data"]
        status["address"] = members[REFERENCES.index(entry["host"])]
        # Its state is the one that the newest header carries: that after the block before it.
        info.update(height=status["height"] - 1, app_hash=status["app_hash"])
        rpc["consensus"]["data"].update(height=status["height"], step=8)
    return bundle


FLEETS: dict[str, Callable[[], Data]] = {
    "composed-idle": _idle,
    "composed-behind": _behind,
    "composed-clock": _clock,
    "composed-proposer": _proposer,
    "composed-slow-but-healthy": _slow,
    "composed-consensus": _consensus,
    "composed-too-many-files": _files,
    "composed-block-refused": _refused,
}

if __name__ == "__main__":
    for name, compose in FLEETS.items():
        text = json.dumps(compose(), sort_keys=True, separators=(",", ":")) + "\n"
        (BUNDLES / f"{name}.json").write_text(text, encoding="utf-8")
