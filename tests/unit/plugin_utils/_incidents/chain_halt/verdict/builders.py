# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles composed from a few words: a fleet, what each host does, what is seen of the validators of others."""

from __future__ import annotations

import copy
import hashlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.variables import ADDRESS

from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import (
    SILENT,
    Data,
    at,
    bad,
    config,
    mark,
    ok,
    process,
    unit,
)

__all__ = ["Fleet", "Host", "Other", "address", "at", "bad", "four", "mark", "node_id", "ok"]

CHAIN = "virtengine-1"
HEIGHT = 208
HASH = "AB" * 32
GENESIS = "1f" * 32


def address(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:40].upper()


def node_id(name: str) -> str:
    return hashlib.sha256(f"node {name}".encode()).hexdigest()[:40]


@dataclass
class Host:
    """One host of the inventory.

    ``doing``: voting, mute (runs, answers, no vote), dead_consensus, busy, stopped, killed, failed, crash_loop, frozen,
    frozen_group, unreachable, late, blind (nothing tells whether it runs).
    ``vote``: its vote stands at the present height in what the others show; by default where it votes or is frozen.
    """

    name: str
    power: int = 0
    doing: str = "voting"
    vote: bool | None = None
    vote_seconds: float = 1.0  # when it voted, counted from the newest block
    marks: list[Data] = field(default_factory=list)
    key: str | None = None  # whose key lies here; by default its own
    declared: bool = True
    target: bool = True
    observed: bool = True
    behind: int = 0
    patch: t.Callable[[Data, int], None] | None = None

    @property
    def address(self) -> str:
        return address(self.key or self.name)

    @property
    def votes(self) -> bool:
        if self.vote is not None:
            return self.vote and self.power > 0
        return self.power > 0 and self.doing in ("voting", "frozen", "frozen_group", "dead_consensus")

    @property
    def answers(self) -> bool:
        return self.doing in ("voting", "mute", "dead_consensus")


@dataclass
class Other:
    """A validator that is not ours."""

    name: str
    power: int
    vote: bool = True
    vote_seconds: float = 1.0
    signs: bool = True  # in the newest commits


@dataclass
class Fleet:
    """A chain as our hosts see it. ``moving``: a new block between the looks, else it stands since ``halted_s``."""

    hosts: list[Host]
    others: list[Other] = field(default_factory=list)
    moving: bool = False
    halted_s: float = 200.0
    gap_s: float = 6.0
    round: int = 0
    grow: int = 0  # rounds between the looks
    step: int = 4
    interval_s: float | None = 1.2
    references: dict[str, dict[str, t.Any]] = field(default_factory=dict)  # url -> lacks=[names], height=, answers=
    peers: dict[str, list[str]] = field(default_factory=dict)  # name of an outside node -> names whose votes it lacks

    def members(self) -> list[tuple[str, int]]:
        """Addresses and powers in the chain's order."""
        powers = {host.address: host.power for host in self.hosts if host.power > 0}
        powers.update({address(other.name): other.power for other in self.others})
        return sorted(powers.items(), key=lambda pair: (-pair[1], pair[0]))

    def height(self, look: int) -> int:
        return HEIGHT + (5 * (look - 1) if self.moving else 0)

    def now(self, look: int) -> float:
        return (2.0 if self.moving else self.halted_s) + self.gap_s * (look - 1)

    def block_at(self, look: int) -> float:
        return self.now(look) - 1.5 if self.moving else 0.0

    def votes(self, look: int) -> list[tuple[str, float]]:
        """(address, when) of the votes that stand at the present height."""
        since = self.block_at(look)
        found = [
            (host.address, since + host.vote_seconds) for host in self.hosts if host.votes and not self._died(host)
        ]
        return found + [(address(other.name), since + other.vote_seconds) for other in self.others if other.vote]

    # -- what RPC shows ------------------------------------------------------------------------------------------

    def rounds(self, look: int, without: t.Container[str] = ()) -> list[Data]:
        """The newest round holds everybody's votes."""
        order = [member for member, _power in self.members()]
        number = self.round + (self.grow if look > 1 else 0)
        rows = [
            [order.index(member), HASH[:12], at(when if not self.grow else self.now(look) - 2)]
            for member, when in self.votes(look)
            if member not in without
        ]
        return [{"round": number, "prevotes": rows, "precommits": []}]

    def _died(self, host: Host) -> bool:
        """While blocks come, one with a dead consensus neither votes nor moves."""
        return self.moving and host.doing == "dead_consensus"

    def signers(self) -> list[str]:
        ours = [
            host.address
            for host in self.hosts
            if host.power and (host.votes or (not self.moving and host.vote is None)) and not self._died(host)
        ]
        return ours + [address(other.name) for other in self.others if other.signs]

    def commits(self, height: int, look: int) -> Data:
        signed = self.signers()
        everybody = [member for member, _power in self.members()]
        found = []
        for back in range(3):
            when = at(self.block_at(look) - back * (self.interval_s or 1.0))
            found.append(
                {
                    "height": height - back,
                    "round": 0,
                    "block_hash": HASH if back == 0 else f"{height - back:064X}",
                    "time": when,
                    "signed": [[member, when] for member in everybody if member in signed],
                    "nil": [],
                    "absent": [member for member in everybody if member not in signed],
                }
            )
        return ok({"commits": found})

    def rpc(self, look: int, name: str, own: str, power: int, behind: int = 0, without: t.Container[str] = ()) -> Data:
        height = self.height(look) - behind
        rows = [{"address": member, "power": value} for member, value in self.members()]
        status = {
            "chain_id": CHAIN,
            "node_id": node_id(name),
            "moniker": name,
            "version": "0.38.21",
            "height": height,
            "block_hash": f"{height:064X}" if behind else HASH[: -len(str(height))] + str(height),
            "app_hash": f"{height - 1:064X}",  # the state before the block, as its header has it
            "block_time": at(self.block_at(look) - behind * 1.2),
            "catching_up": False,
            "address": own,
            "power": power,
            "earliest_height": 1,
        }
        consensus = {
            "height": height + 1,
            "round": self.round + (self.grow if look > 1 else 0),
            "step": self.step,
            "start_time": at(self.block_at(look)),
            "commit_time": None,
            "proposer": rows[0]["address"] if rows else None,
            "proposal": False,
            "block_parts": None,
            "validators": rows,
            "rounds": [] if behind else self.rounds(look, without),
            "last_commit": None,
            "peers": self._peers(look),
            "truncated": False,
        }
        return {
            "status": ok(status),
            "abci_info": ok({"height": height, "app_hash": f"{height:064X}", "version": "1", "app_version": 1}),
            "consensus": ok(consensus),
            "net_info": ok({"peers": [], "count": 3}),
            "validators": ok({"height": height + 1, "total": len(rows), "validators": rows}),
            "blocks": ok(
                {
                    "interval_s": self.interval_s,
                    "from_height": height - 19,
                    "to_height": height,
                    "headers": [[height - back, f"{height - back - 1:064X}"] for back in range(20)],
                }
            ),
            "commits": self.commits(height, look),
            "mempool": ok({"txs": 0, "bytes": 0}),
            "jailed": ok({"total": len(rows), "jailed": [], "truncated": False}),
        }

    def _peers(self, look: int) -> list[Data]:
        order = [member for member, _power in self.members()]
        found = []
        for name, lacks in self.peers.items():
            lacking = {address(who) for who in lacks}
            bits = "".join("_" if member in lacking else "x" for member in order)
            found.append(
                {
                    "node_id": node_id(name),
                    "remote": "192.0.2.9:26656",
                    "height": self.height(look) + 1,
                    "round": self.round + (self.grow if look > 1 else 0),
                    "step": self.step,
                    "prevotes": bits,
                    "precommits": None,
                }
            )
        return found

    def _behind(self, host: Host, look: int) -> int:
        return host.behind + (self.height(look) - HEIGHT if self._died(host) else 0)

    # -- evidence ------------------------------------------------------------------------------------------------

    def evidence(self, host: Host, look: int) -> Data:
        """What the module would return of ``host``."""
        now = self.now(look)
        silent = {part: bad("refused", "connection refused") for part in SILENT}
        data: Data = {
            "schema": 1,
            "clock": {"now": at(now), "boot_at": at(-90000), "boot_id": "b1"},
            "access": {"uid": 0, "privileged": True},
            "unit": ok(unit(host.doing, look)),
            "process": ok({"main": process(host.doing), "others": []}),
            "paths": {
                "home": "/var/lib/virtengine",
                "home_source": "unit_flag",
                "rpc": "http://127.0.0.1:26657",
                "rpc_source": "config",
            },
            "binary": ok(
                {"path": "/usr/bin/virtengine", "sha256": "c0" * 32, "running_sha256": "c0" * 32, "cosmovisor": False}
            ),
            "config": ok(config()),
            "genesis": ok({"chain_id": CHAIN, "sha256": GENESIS, "genesis_time": at(-90000)}),
            "signer": ok(
                {
                    "address": host.address,
                    "key_file": True,
                    "remote": False,
                    "state": {"height": self.height(look) + 1, "round": 9, "step": 3},
                    "state_error": None,
                }
            ),
            "disk": ok(
                {
                    "path": "/var/lib/virtengine",
                    "size_bytes": 10**11,
                    "free_bytes": 10**10,
                    "inodes": 10**6,
                    "inodes_free": 10**5,
                    "read_only": False,
                }
            ),
            "upgrade": ok({"plan": None, "cosmovisor": False, "upgrade_binary": None, "upgrade_binary_present": None}),
            "wal": ok(
                {
                    "path": "/var/lib/virtengine/data/cs.wal",
                    "present": True,
                    "bytes": 10**6,
                    "newest_at": at(now - 1),
                    "last_end_height": None,
                    "copies": [],
                }
            ),
            "p2p": ok({"laddr": "tcp://0.0.0.0:26656", "expected": []}),
            "journal": ok(
                {"since": at(-3600), "lines_read": 9, "truncated": False, "last_line_at": at(now), "marks": host.marks}
            ),
            "rpc": self.rpc(look, host.name, host.address, host.power, self._behind(host, look))
            if host.answers
            else silent,
        }
        if host.doing == "blind":
            data["unit"] = data["process"] = data["signer"] = data["journal"] = bad("privilege", "needs root")
        if host.doing == "dead_consensus":
            data["journal"]["data"]["marks"] = [*host.marks, mark("consensus_failure", "CONSENSUS FAILURE!!!")]
        if host.patch is not None:
            host.patch(data, look)
        return data

    def observation(self, host: Host, look: int) -> Data:
        head = {"source": "node_evidence", "host": host.name, "look": look, "at": at(self.now(look) + 0.5)}
        if host.doing == "unreachable":
            return dict(head, ok=False, error={"kind": "unreachable", "text": "ssh: connect: no route to host"})
        if host.doing == "late":
            return dict(head, ok=False, error={"kind": "late", "text": "no answer within 15 s"})
        return dict(head, ok=True, data=self.evidence(host, look))

    def reference(self, url: str, look: int) -> Data:
        what = self.references[url]
        head = {"source": "cometbft_info", "host": url, "look": look, "at": at(self.now(look) + 0.2)}
        if not what.get("answers", True):
            return dict(head, ok=False, error={"kind": "late", "text": "no answer"})
        lacks = {address(name) for name in what.get("lacks", [])}
        return dict(head, ok=True, data=self.rpc(look, url, address(url), 0, without=lacks))

    def bundle(self, looks: int = 2) -> Data:
        found: list[Data] = []
        for look in range(1, looks + 1):
            found.extend(self.observation(host, look) for host in self.hosts if host.observed)
            found.extend(self.reference(url, look) for url in self.references)
        inventory = {
            host.name: {
                "declared": {ADDRESS: host.address} if host.declared and host.power else {},
                "target": host.target,
                "observed": host.observed,
                "groups": ["validators"] if host.power else ["sentries"],
            }
            for host in self.hosts
        }
        return copy.deepcopy(
            {
                "schema": "virtengine.incident.evidence/2",
                "incident": "chain_halt",
                "settings": {},
                "not_looked_at": [],
                "taken_at": at(self.now(looks) + 1),
                "min_seconds_between_looks": 5,
                "inventory": inventory,
                "observations": found,
            }
        )


def four(doing: t.Sequence[str] = (), **changes: t.Any) -> Fleet:
    """vh1..vh4 with power 40, 30, 20, 10 and the full node vh5; ``doing`` for the first ones, the rest vote."""
    powers = {"vh1": 40, "vh2": 30, "vh3": 20, "vh4": 10, "vh5": 0}
    words = [*doing, *["voting"] * (len(powers) - len(doing))]
    hosts = [Host(name, power, word) for (name, power), word in zip(powers.items(), words)]
    return Fleet(hosts, **changes)
