# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's evidence behind accessors that never raise: what has another shape reads as "cannot tell"."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, fields

from .._path.evidence import values
from .._path.text import clean

# Those of a node's parts that are nothing but a part.
_PARTS = ("unit", "process", "binary", "config", "genesis", "signer", "disk", "old_logs", "upgrade", "wal", "p2p")
_ADDRESS = re.compile(r"[0-9A-F]{40}")


def consensus_address(value: t.Any) -> t.Optional[str]:
    """``value`` where it is a consensus address in the contract's form (40 upper-case hex digits), else None."""
    return value if isinstance(value, str) and _ADDRESS.fullmatch(value) else None


@dataclass(frozen=True)
class Problem:
    """Why a part or an observation is not there: one of the contract's words, and one line for people."""

    kind: str
    text: str


@dataclass(frozen=True)
class Part:
    """A piece of evidence that can fail on its own."""

    raw: dict[str, t.Any]
    error: t.Optional[Problem]

    @property
    def ok(self) -> bool:
        return self.error is None

    def text(self, key: str) -> t.Optional[str]:
        """The string at ``key``, cleaned; None where it is missing, empty or no string."""
        value = self.raw.get(key)
        return (clean(value) or None) if isinstance(value, str) else None

    def integer(self, key: str) -> t.Optional[int]:
        """The integer at ``key``; None where it is missing or no integer (a string of digits is none)."""
        return values.integer(self.raw.get(key))

    def number(self, key: str) -> t.Optional[float]:
        """The finite number at ``key``, or None."""
        return values.number(self.raw.get(key))

    def flag(self, key: str) -> t.Optional[bool]:
        """The boolean at ``key``, or None."""
        value = self.raw.get(key)
        return value if isinstance(value, bool) else None

    def time(self, key: str) -> t.Optional[float]:
        """The time at ``key`` in seconds since the epoch, or None."""
        return values.seconds(self.raw.get(key))

    def address(self, key: str) -> t.Optional[str]:
        """The consensus address at ``key``, or None where it is not 40 hex digits."""
        return consensus_address(self.raw.get(key))

    def items(self, key: str) -> list[t.Any]:
        """The list at ``key``; empty where it is missing or no list."""
        value = self.raw.get(key)
        return value if isinstance(value, list) else []

    def mappings(self, key: str) -> list[Part]:
        """The objects of the list at ``key``, each behind the same accessors."""
        return [Part(item, None) for item in self.items(key) if isinstance(item, dict)]

    def inner(self, key: str) -> t.Optional[Part]:
        """The object at ``key`` behind the same accessors, or None."""
        value = self.raw.get(key)
        return Part(value, None) if isinstance(value, dict) else None


def part(value: t.Any) -> Part:
    """Wrap a part of the contract (``{"ok": true, "data": {...}}`` or an error)."""
    if isinstance(value, dict) and value.get("ok") is True and isinstance(value.get("data"), dict):
        return Part(value["data"], None)
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, dict):
        return Part(
            {}, Problem(clean(error.get("kind"), 40) or "failed", clean(error.get("text")) or "no reason given")
        )
    return Part({}, Problem("malformed" if value is not None else "absent", "this part of the evidence is missing"))


@dataclass(frozen=True)
class Rpc:
    """What one node's RPC showed."""

    status: Part
    abci_info: Part
    consensus: Part
    net_info: Part
    validators: Part
    blocks: Part
    commits: Part
    mempool: Part
    jailed: Part  # absent in evidence that was taken before there was such a part


@dataclass(frozen=True)
class Mark:
    """A significant kind of line in the journal."""

    kind: str
    count: int
    first_at: t.Optional[float]
    last_at: t.Optional[float]
    current: bool  # of the unit's present invocation, or its last one when it is down
    text: str


@dataclass(frozen=True)
class NodeEvidence:
    """One look at one host."""

    look: int
    at: t.Optional[float]  # the controller's clock
    now: t.Optional[float]  # the host's clock
    boot_at: t.Optional[float]
    boot_id: t.Optional[str]
    privileged: t.Optional[bool]
    unit: Part
    process: Part
    paths: Part
    binary: Part
    config: Part
    genesis: Part
    signer: Part
    disk: Part
    old_logs: Part
    upgrade: Part
    wal: Part
    p2p: Part
    journal: Part
    marks: tuple[Mark, ...]
    rpc: Rpc

    def setting(self, key: str) -> t.Optional[t.Any]:
        """The effective configuration value at ``key``; None where it cannot be told."""
        entry = self.config.inner(key)
        return None if entry is None else entry.raw.get("value")


def rpc_of(value: t.Any) -> Rpc:
    """Wrap an ``rpc`` object of the contract."""
    raw = value if isinstance(value, dict) else {}
    return Rpc(*(part(raw.get(field.name)) for field in fields(Rpc)))


def evidence_of(observation: dict[str, t.Any]) -> NodeEvidence:
    """Wrap the data of an observation of ``node_evidence`` that is ok."""
    raw = observation["data"]
    clock = Part(raw["clock"], None) if isinstance(raw.get("clock"), dict) else Part({}, None)
    access = Part(raw["access"], None) if isinstance(raw.get("access"), dict) else Part({}, None)
    paths = Part(raw["paths"], None) if isinstance(raw.get("paths"), dict) else part(None)
    journal = part(raw.get("journal"))
    return NodeEvidence(
        look=observation["look"],
        at=values.seconds(observation.get("at")),
        now=clock.time("now"),
        boot_at=clock.time("boot_at"),
        boot_id=clock.text("boot_id"),
        privileged=access.flag("privileged"),
        paths=paths,
        journal=journal,
        marks=tuple(_mark(entry) for entry in journal.mappings("marks")),
        rpc=rpc_of(raw.get("rpc")),
        **{name: part(raw.get(name)) for name in _PARTS},
    )


def _mark(entry: Part) -> Mark:
    return Mark(
        entry.text("kind") or "unknown",
        entry.integer("count") or 0,
        entry.time("first_at"),
        entry.time("last_at"),
        entry.flag("current") is True,
        entry.text("text") or "",
    )
