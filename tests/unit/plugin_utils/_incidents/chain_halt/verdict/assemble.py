# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles from the recorded answers and journals of a real network: ``python -m tests.unit.plugin_utils._incidents.chain_halt.verdict.assemble FROM TO``.

FROM holds the answers as they were served, one file each (``STATE-METHOD.json``), and journals (``journal-*.jsonl``).
The collection's own readers read them, as they read a node. What was recorded on no host (state of the unit, the second
look) is composed as the recording's notes tell it.
"""

from __future__ import annotations

import json
import sys
import threading
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import marks as _marks
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
from ansible_collections.virtengine.incident.plugins.module_utils._host import journal as _journal

from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import Data, bad, config, ok, process, unit

SILENT = {part: bad("refused", "connection refused") for part in _cometbft.PARTS}
ADDRESSES = {"vh1": "18A9A956", "vh2": "E0AFAFD6", "vh3": "7A83CE6E", "vh4": "AE75BB99"}


@dataclass
class Seen:
    """A host: the name its answers were recorded under, or what its unit did where none were."""

    answers: str | None = None
    doing: str = "voting"
    journal: str | None = None


@dataclass
class Scene:
    """One state of the network."""

    hosts: dict[str, Seen]
    looks: int = 1
    gap_s: float = 12.0


SCENES = {
    "healthy": Scene({"vh1": Seen("healthy"), "vh5": Seen("healthy-vh5")}),
    "halted": Scene(
        {"vh1": Seen(None, "stopped"), "vh2": Seen("halted", journal="halted"), "vh5": Seen("halted-vh5")}, looks=2
    ),
    "apphash-split": Scene(
        {f"vh{number}": Seen(f"apphash-vh{number}", journal=f"apphash-vh{number}") for number in range(1, 6)}, looks=2
    ),
    "diverged-minority": Scene({"vh1": Seen("diverged-vh1"), "vh3": Seen("diverged-vh3", journal="diverged-vh3")}),
    "upgrade-needed": Scene({"vh1": Seen("upgrade-halt", journal="upgrade-halt")}, looks=2),
    "double-sign-check": Scene(
        {"vh1": Seen(None, "crash_loop", "dsch-refusal"), "vh2": Seen("halted"), "vh5": Seen("halted-vh5")}, looks=2
    ),
}


class Answers:
    """Serves recorded answers on loopback, as the node did."""

    def __init__(self, folder: Path, state: str) -> None:
        files = {path.name[len(state) + 1 : -5]: path for path in folder.glob(f"{state}-*.json")}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                split = urlsplit(self.path)
                path = files.get(split.path.strip("/"))
                body = path.read_bytes() if path is not None else b""
                if path is not None and split.path == "/commit":
                    asked = parse_qs(split.query).get("height", [""])[0]
                    height = json.loads(body)["result"]["signed_header"]["header"]["height"]
                    body = body if asked == height else b""
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: t.Any) -> None:
                """Nothing is printed for a request."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def read(self) -> Data:
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        try:
            return _cometbft.gather(f"http://127.0.0.1:{self.server.server_address[1]}", 20.0)
        finally:
            self.server.shutdown()
            self.server.server_close()


def journal(folder: Path, name: str | None) -> Data:
    """Marks of a recorded journal; its last invocation is the one that counts."""
    reader = _journal.Reader(_marks.NODE, None, None)
    lines = (folder / f"journal-{name}.jsonl").read_bytes().splitlines() if name else []
    for line in reversed(lines):
        reader.line(line)
    return {
        "since": "2026-11-24T14:00:00Z",
        "lines_read": reader.lines,
        "truncated": False,
        "last_line_at": None,
        "marks": reader.marks(),
    }


def later(at: str, seconds: float) -> str:
    moment = datetime.fromisoformat(at.replace("Z", "+00:00")) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def evidence(folder: Path, seen: Seen, at: str, look: int) -> Data:
    rpc = Answers(folder, seen.answers).read() if seen.answers else SILENT
    own = rpc["status"].get("data", {}).get("address")
    missing = bad("absent", "not recorded")
    unknown = {"started_at": None, "stopped_at": None}
    return {
        "schema": 1,
        "clock": {"now": at, "boot_at": "2026-11-24T14:00:00Z", "boot_id": None},
        "access": {"uid": 0, "privileged": True},
        "unit": ok(dict(unit(seen.doing, look), **unknown)),
        "process": ok({"main": process(seen.doing), "others": []}),
        "paths": {"home": None, "home_source": None, "rpc": "http://127.0.0.1:26657", "rpc_source": "config"},
        "binary": missing,
        "config": ok(config()),
        "genesis": missing,
        "signer": ok({"address": own, "key_file": True, "remote": False, "state": None, "state_error": None}),
        "disk": missing,
        "upgrade": missing,
        "wal": missing,
        "p2p": missing,
        "journal": ok(journal(folder, seen.journal)),
        "rpc": rpc,
    }


def addresses(observations: list[Data]) -> set[str]:
    shown = [entry["data"]["rpc"]["validators"] for entry in observations]
    return {member["address"] for part in shown if part["ok"] for member in part["data"]["validators"]}


def assemble(folder: Path, scene: Scene) -> Data:
    captured = json.loads((folder / "captured_at.json").read_text(encoding="utf-8"))
    recorded = [seen.answers for seen in scene.hosts.values() if seen.answers]
    start = max(captured[f"{state}-status.json"]["at"] for state in recorded)
    observations = []
    for look in range(1, scene.looks + 1):
        for host, seen in scene.hosts.items():
            at = captured[f"{seen.answers}-status.json"]["at"] if seen.answers else start
            at = later(at, scene.gap_s * (look - 1))
            head = {"source": "node_evidence", "host": host, "look": look, "at": at}
            observations.append(dict(head, ok=True, data=evidence(folder, seen, at, look)))
    known = addresses(observations)
    inventory = {}
    for host in scene.hosts:
        address = next((full for full in known if full.startswith(ADDRESSES.get(host, "-"))), None)
        groups = ["validators" if address else "sentries"]
        declared = {"incident_validator_address": address} if address else {}
        inventory[host] = {"declared": declared, "target": True, "observed": True, "groups": groups}
    return {
        "schema": "virtengine.incident.evidence/2",
        "incident": "chain_halt",
        "settings": {},
        "not_looked_at": [],
        "taken_at": later(start, scene.gap_s * scene.looks),
        "min_seconds_between_looks": 5,
        "inventory": inventory,
        "observations": observations,
    }


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    for name, scene in SCENES.items():
        text = json.dumps(assemble(source, scene), separators=(",", ":"), sort_keys=True)
        (target / f"network-{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
