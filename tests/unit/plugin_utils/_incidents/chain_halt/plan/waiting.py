# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded bundle of nodes that wait between two dials, and what may be otherwise in it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence.values import seconds, stamp

from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import checked, finished

RECORDED = Path(__file__).resolve().parents[5] / "data/recorded/backoff.json"
HOSTS = ("vs1", "vh1", "vh2", "vh3", "vh4")
Change = t.Callable[[str, dict[str, t.Any]], None]


def recorded() -> dict[str, t.Any]:
    made: dict[str, t.Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return made


def changed(change: Change, looks: tuple[int, ...] = (1, 2)) -> dict[str, t.Any]:
    """The recorded bundle with the evidence of each host changed."""
    raw = recorded()
    for entry in raw["observations"]:
        if entry["source"] == "node_evidence" and entry["look"] in looks:
            change(entry["host"], entry["data"])
    return checked(raw)


def planned(seen: dict[str, t.Any], reason: str | None = None) -> dict[str, t.Any]:
    return finished(seen, CHAIN_HALT.assess(seen), reason)


def restarted(made: dict[str, t.Any]) -> list[str]:
    return [step["hosts"][0] for step in made["steps"] if step["action"] == "stop_node"]


def unchanged(_host: str, _data: dict[str, t.Any]) -> None:
    return None


def dials(word: str | None) -> Change:
    def change(_host: str, data: dict[str, t.Any]) -> None:
        for peer in data["p2p"]["data"]["expected"]:
            peer["dial"] = word

    return change


def towards(node: str, word: str | None) -> Change:
    """What the others' plain connections to one host came to."""
    ids = {entry["host"]: entry["data"]["rpc"]["status"]["data"]["node_id"] for entry in recorded()["observations"][:5]}

    def change(host: str, data: dict[str, t.Any]) -> None:
        for peer in data["p2p"]["data"]["expected"]:
            if peer["node_id"] == ids[node] and host != node:
                peer["dial"] = word

    return change


def forget(node: str) -> Change:
    """Nobody of ours is told to keep one host."""
    ids = {entry["host"]: entry["data"]["rpc"]["status"]["data"]["node_id"] for entry in recorded()["observations"][:5]}

    def change(_host: str, data: dict[str, t.Any]) -> None:
        expected = data["p2p"]["data"]["expected"]
        data["p2p"]["data"]["expected"] = [peer for peer in expected if peer["node_id"] != ids[node]]

    return change


def without_marks(_host: str, data: dict[str, t.Any]) -> None:
    data["journal"]["data"]["marks"] = []


def began(seconds_ago: float) -> Change:
    def change(_host: str, data: dict[str, t.Any]) -> None:
        now = seconds(data["clock"]["now"]) or 0.0
        for mark in data["journal"]["data"]["marks"]:
            mark["last_at"] = stamp(now - seconds_ago)

    return change


def given_up(_host: str, data: dict[str, t.Any]) -> None:
    for mark in data["journal"]["data"]["marks"]:
        mark["kind"] = "peers_given_up"


def one_peer(host: str) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["rpc"]["net_info"]["data"]["count"] = 1

    return change


def undated(_host: str, data: dict[str, t.Any]) -> None:
    for mark in data["journal"]["data"]["marks"]:
        mark["last_at"] = None


def ahead(host: str) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            now = seconds(data["clock"]["now"]) or 0.0
            data["clock"]["now"] = stamp(now + 90)

    return change


def id_of(host: str) -> str:
    found = next(entry for entry in recorded()["observations"] if entry["host"] == host)
    return str(found["data"]["rpc"]["status"]["data"]["node_id"])


def listed(host: str) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["rpc"]["net_info"]["data"]["peers"] = [{"node_id": "ab" * 20}]

    return change


def shown_by(viewer: str, host: str) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == viewer:
            data["rpc"]["net_info"]["data"] = {"count": 1, "peers": [{"node_id": id_of(host)}]}

    return change


def hangs_on(host: str, sentry: str) -> Change:
    return shown_by(host, sentry)


def connected(host: str) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["p2p"]["data"]["expected"][0].update(connected=True, dial=None)

    return change


def anonymous(host: str) -> Change:
    """Which key lies on the host is not known, and it has a peer."""

    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["signer"] = {"ok": False, "error": {"kind": "privilege", "text": "may not read"}}
            data["rpc"]["status"]["data"]["address"] = None
            data["rpc"]["net_info"]["data"]["count"] = 1

    return change


def votes_elsewhere(host: str, after_s: float, same: bool = False) -> Change:
    """Another node shows a vote of this validator: for another block, or much later."""
    own = next(entry for entry in recorded()["observations"] if entry["host"] == host)["data"]
    address = own["rpc"]["status"]["data"]["address"]

    def change(name: str, data: dict[str, t.Any]) -> None:
        shown = data["rpc"]["consensus"]
        if name == host or not shown["ok"]:
            return
        index = [member["address"] for member in shown["data"]["validators"]].index(address)
        votes = own["rpc"]["consensus"]["data"]
        if shown["data"]["height"] != votes["height"]:
            return
        for entry, mine in zip(shown["data"]["rounds"], votes["rounds"]):
            for key in ("prevotes", "precommits"):
                for found in [row for row in mine[key] if row[0] == index]:
                    late = stamp((seconds(found[2]) or 0.0) + after_s)
                    other = [row for row in entry[key] if row[0] != index]
                    entry[key] = [*other, [index, found[1] if same else "AAAAAAAAAAAA", late]]

    return change


def down(host: str, masked: bool = False, waited: bool = True) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["process"]["data"]["main"] = None
            at = data["clock"]["now"]
            data["unit"]["data"].update(active_state="inactive", sub_state="dead", main_pid=None, stopped_at=at)
            if not waited:
                data["journal"]["data"]["marks"] = []
            if masked:
                data["unit"]["data"].update(unit_file_state="masked")
            for part in data["rpc"]:
                data["rpc"][part] = {"ok": False, "error": {"kind": "refused", "text": "refused"}}

    return change


def log(ends: int | None, newest_at: str = "2026-12-31T00:00:00Z") -> dict[str, t.Any]:
    shown = {"present": True, "bytes": 9, "newest_at": newest_at, "last_end_height": ends, "copies": []}
    return {"ok": True, "data": shown}


def with_log(host: str, part: dict[str, t.Any]) -> Change:
    def change(name: str, data: dict[str, t.Any]) -> None:
        if name == host:
            data["wal"] = part

    return change
