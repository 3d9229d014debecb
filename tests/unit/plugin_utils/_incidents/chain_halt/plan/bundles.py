# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles of a small fleet, and the plan of one: what each host does is told in a word, the evidence is made from it."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass, field

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r

HASH = "D" * 64
ANSWERING = ("voting", "not_voting", "sentry")


def address(letter: str) -> str:
    return (letter * 40).upper()


@dataclass
class Host:
    """One host of ours. ``doing``: voting|not_voting|sentry|stopped|frozen|crashed|unreachable."""

    doing: str
    power: int = 0
    key: str | None = None  # letter of the key that lies there
    declared: str | None = None
    target: bool = True
    raw: dict[str, t.Any] = field(default_factory=dict)  # parts of the evidence that differ


@dataclass
class Net:
    """A chain: our hosts, validators of others as letter -> (power, votes), and the height of its newest block."""

    hosts: dict[str, Host]
    theirs: dict[str, tuple[int, bool]] = field(default_factory=dict)
    height: int = r.HEIGHT
    chain: str = r.CHAIN
    block_hash: str = HASH
    moving: bool = False
    signed: dict[str, int] = field(default_factory=dict)  # letter -> how many of the five newest commits it signed

    def powers(self) -> dict[str, int]:
        """Letter -> power, of every validator."""
        ours = {host.key: host.power for host in self.hosts.values() if host.key and host.power}
        return {**ours, **{letter: power for letter, (power, _votes) in self.theirs.items()}}

    def voters(self) -> set[str]:
        ours = {host.key for host in self.hosts.values() if host.key and host.power and host.doing == "voting"}
        return ours | {letter for letter, (_power, votes) in self.theirs.items() if votes}


def _clock(second: int) -> str:
    return f"2026-01-30T12:{10 + second // 60:02d}:{second % 60:02d}Z"


def _rpc(net: Net, host: Host, look: int) -> dict[str, t.Any]:
    height = net.height - (1 if net.moving and look == 1 else 0)
    block_time = _clock(6 * look - 1) if net.moving else "2026-01-30T11:59:50Z"
    powers = sorted(net.powers().items(), key=lambda pair: (-pair[1], pair[0]))
    validators = [{"address": address(letter), "power": power} for letter, power in powers]
    voters = net.voters()
    prevotes = [
        [index, "8B01023386C3", _clock(6 * look) if net.moving else "2026-01-30T11:59:55Z"]
        for index, (letter, _power) in enumerate(powers)
        if letter in voters
    ]
    commits = []
    for back in range(5):
        signers = [letter for letter in net.powers() if back < net.signed.get(letter, 5 if letter in voters else 0)]
        commits.append(
            {
                "height": height - back,
                "round": 0,
                "block_hash": net.block_hash if back == 0 else f"{height - back:064X}",
                "time": block_time,
                "signed": [[address(letter), block_time] for letter in signers],
                "nil": [],
                "absent": [address(letter) for letter in net.powers() if letter not in signers],
            }
        )
    status = {
        "chain_id": net.chain,
        "node_id": f"{host.key or 'f'}1" * 20,
        "moniker": "node",
        "version": "0.38.21",
        "height": height,
        "block_hash": net.block_hash,
        "app_hash": "AA",
        "block_time": block_time,
        "catching_up": False,
        "address": address(host.key) if host.key else None,
        "power": host.power,
        "earliest_height": 1,
    }
    consensus = {
        "height": height + 1,
        "round": 0,
        "step": 4,
        "start_time": block_time,
        "commit_time": block_time,
        "proposer": None,
        "validators": validators,
        "rounds": [{"round": 0, "prevotes": prevotes, "precommits": []}],
        "last_commit": None,
        "peers": [],
        "truncated": False,
    }
    total = sum(power for _letter, power in powers)
    return {
        "status": r.ok(status),
        "abci_info": r.ok({"height": height, "app_hash": "AA", "version": "v1", "app_version": 0}),
        "consensus": r.ok(consensus),
        "net_info": r.ok({"peers": [], "count": 2}),
        "validators": r.ok({"height": height, "total": total, "validators": validators}),
        "blocks": r.ok({"interval_s": 1.0, "from_height": height - 19, "to_height": height}),
        "commits": r.ok({"commits": commits}),
        "mempool": r.ok({"txs": 0, "bytes": 0}),
        "jailed": r.ok({"total": len(powers), "jailed": [], "truncated": False}),
    }


def _data(net: Net, host: Host, look: int) -> dict[str, t.Any]:
    down = host.doing in ("stopped", "crashed")
    raw = r.data(not down, address(host.key) if host.key else None)
    raw["clock"]["now"] = _clock(6 * look)
    raw["signer"]["data"]["state"] = {"height": r.HEIGHT + 1, "round": 0, "step": 2}
    if host.doing in ANSWERING:
        raw["rpc"] = _rpc(net, host, look)
    else:
        kind = "late" if host.doing == "frozen" else "refused"
        raw["rpc"] = {name: r.error(kind) for name in _rpc(net, host, look)}
    if host.doing == "frozen":
        raw["process"]["data"]["main"]["state"] = "T"
    if host.doing == "crashed":
        raw["unit"]["data"].update(
            active_state="activating", sub_state="auto-restart", result="exit-code", exit_kind="exited", exit_status=2
        )
        raw["unit"]["data"]["restarts"] = 5 + look
        raw["journal"]["data"]["marks"] = [r.mark("exited", "Main process exited, code=exited, status=2")]
    for part, value in host.raw.items():
        if isinstance(raw.get(part), dict) and raw[part].get("ok") and isinstance(value, dict) and "ok" not in value:
            raw[part]["data"].update(copy.deepcopy(value))
        else:
            raw[part] = copy.deepcopy(value)
    return raw


def bundle(net: Net, looks: tuple[int, ...] = (1, 2)) -> dict[str, t.Any]:
    """The bundle of ``looks``, six seconds apart."""
    inventory = {
        name: {
            "declared": {"incident_validator_address": address(host.declared)} if host.declared else {},
            "target": host.target,
            "observed": True,
            "groups": ["validators"],
        }
        for name, host in net.hosts.items()
    }
    observations = []
    for look in looks:
        for name, host in net.hosts.items():
            head = {"source": "node_evidence", "host": name, "look": look, "at": _clock(6 * look)}
            if host.doing == "unreachable":
                observations.append(dict(head, ok=False, error={"kind": "unreachable", "text": "no route to host"}))
            else:
                observations.append(dict(head, ok=True, data=_data(net, host, look)))
    return {
        "schema": "virtengine.incident.evidence/2",
        "incident": "chain_halt",
        "taken_at": _clock(13),
        "min_seconds_between_looks": 5,
        "settings": {},
        "not_looked_at": [],
        "inventory": inventory,
        "observations": observations,
    }


def cause(name: str, hosts: list[str], justifies: list[str], forbids: list[str]) -> dict[str, t.Any]:
    return {
        "id": name,
        "role": "root",
        "statement": name,
        "because": name,
        "weight": 0,
        "hosts": hosts,
        "runbook_step": "1",
        "severity": "SEV-1",
        "justifies": justifies,
        "decide": "",
        "explained": False,
        "by_hand": [],
        "forbids": forbids,
    }


def verdict(net: Net, status: str = "incident", confirmed: bool = True, **changes: t.Any) -> dict[str, t.Any]:
    """A verdict as the path hands it on; its causes name every host that is down or frozen."""
    down = [name for name, host in net.hosts.items() if host.doing in ("stopped", "frozen", "crashed")]
    made = {
        "subject": f"chain {net.chain}",
        "status": status,
        "confirmed": confirmed,
        "causes": [cause("processes_down", down, ["start_node", "thaw_node", "relax_double_sign_check"], [])],
        "details": {"height": net.height},
    }
    return {**made, **changes}


def checked(evidence: dict[str, t.Any]) -> dict[str, t.Any]:
    """A bundle that the path accepts."""
    return _bundle.check(evidence, CHAIN_HALT)


def finished(
    evidence: dict[str, t.Any],
    judged: dict[str, t.Any],
    reason: str | None = None,
    used: t.Collection[str] = (),
) -> dict[str, t.Any]:
    """The plan as the path makes it of the incident's draft."""
    draft = CHAIN_HALT.plan(evidence, judged, reason)
    return _plan.finish(CHAIN_HALT, judged, draft, "2026-01-30T12:11:00Z", used)


def check_step(evidence: dict[str, t.Any], made: dict[str, t.Any], step: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the check just before a step says."""
    return CHAIN_HALT.check_step(evidence, made, step)
