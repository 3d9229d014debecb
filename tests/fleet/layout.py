# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a rig has and how its chain is set: data, from a JSON file or from a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tests.fleet.names import HOST_NAME

CHAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
DURATION = re.compile(r"[0-9]+(ms|s|m|h)")


class BadLayout(ValueError):
    """A layout that cannot be built; the text says why."""


@dataclass(frozen=True)
class Host:
    """One host. ``power`` is its voting power; 0 makes it a full node.

    ``ours``: in the inventory. ``rpc``: ``loopback`` as CometBFT's default is, or ``bridge`` for every address.
    ``standby_of``: the host whose consensus key it holds a copy of; such a host's unit is stopped and disabled.
    ``service``: ``node``, or ``database`` for a host with PostgreSQL and PgBouncer and without a node.
    """

    name: str
    power: int = 0
    ours: bool = True
    rpc: str = "loopback"
    standby_of: str | None = None
    service: str = "node"

    @property
    def role(self) -> str:
        if self.service == "database":
            return "database"
        if self.standby_of:
            return "standby"
        return "validator" if self.power else "full node"


DEFAULT_HOSTS = (
    Host("vh1", 34),
    Host("vh2", 22),
    Host("vh3", 14),
    Host("vh4", 8),
    Host("vs1"),
    Host("vx1", 22, ours=False),
    Host("vx2", ours=False),
)


@dataclass(frozen=True)
class Layout:
    """The whole rig. Durations are as CometBFT writes them (``1s``); ``restart_sec`` is systemd's RestartSec.

    ``signed_blocks_window`` is long by default: a validator that a test stops for some minutes is not to be jailed,
    which would change everybody's share of the voting power for good.
    """

    hosts: tuple[Host, ...] = field(default=DEFAULT_HOSTS)
    chain_id: str = "virtengine-rig-1"
    timeout_commit: str = "1s"
    restart_sec: int = 3
    signed_blocks_window: int = 100_000
    double_sign_check_height: int = 0

    @property
    def total(self) -> int:
        return sum(host.power for host in self.hosts)

    @property
    def quorum(self) -> int:
        """Least voting power that commits a block: floor(2T/3)+1 (CometBFT types/vote_set.go)."""
        return self.total * 2 // 3 + 1

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise BadLayout(f"no host {name!r}: there are {', '.join(self.names())}")

    def names(self) -> list[str]:
        return [host.name for host in self.hosts]

    def nodes(self) -> list[str]:
        """The hosts that run a node of the chain."""
        return [host.name for host in self.hosts if host.service == "node"]

    def databases(self) -> list[str]:
        return [host.name for host in self.hosts if host.service == "database"]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "hosts": [asdict(host) for host in self.hosts]}


def _only(kind: type[Host] | type[Layout], found: dict[str, Any], where: str) -> dict[str, Any]:
    known = [there.name for there in fields(kind)]
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise BadLayout(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    return found


def _check_hosts(hosts: Iterable[Host]) -> None:
    seen: dict[str, Host] = {}
    for host in hosts:
        if not HOST_NAME.fullmatch(host.name):
            raise BadLayout(f"host name {host.name!r}: a letter and at most 8 more of a-z, 0-9")
        if host.name in seen:
            raise BadLayout(f"two hosts are called {host.name}")
        if isinstance(host.power, bool) or not isinstance(host.power, int) or not 0 <= host.power <= 1_000_000:
            raise BadLayout(f"{host.name}: power {host.power!r} is not a whole number from 0 to 1000000")
        if host.rpc not in ("loopback", "bridge"):
            raise BadLayout(f"{host.name}: rpc {host.rpc!r} is neither loopback nor bridge")
        if host.service not in ("node", "database"):
            raise BadLayout(f"{host.name}: service {host.service!r} is neither node nor database")
        if host.service == "database" and host != Host(host.name, ours=host.ours, service="database"):
            raise BadLayout(f"{host.name}: a database host has no node, so no power, rpc or standby_of")
        seen[host.name] = host
    for host in seen.values():
        if host.standby_of is None:
            continue
        holder = seen.get(host.standby_of)
        if holder is None or not holder.power or host.power:
            raise BadLayout(f"{host.name}: a standby has power 0 and stands by for a validator of the layout")


def check(layout: Layout) -> Layout:
    """The layout itself when it can be built, else ``BadLayout``."""
    if not 1 <= len(layout.hosts) <= 64:
        raise BadLayout("a rig has 1 to 64 hosts")
    _check_hosts(layout.hosts)
    if layout.nodes() and not layout.total:
        raise BadLayout("no host has voting power")
    if not CHAIN_ID.fullmatch(layout.chain_id):
        raise BadLayout(f"chain_id {layout.chain_id!r} is not a chain id")
    if not DURATION.fullmatch(layout.timeout_commit):
        raise BadLayout(f"timeout_commit {layout.timeout_commit!r} is not a duration like 1s or 200ms")
    for key in ("restart_sec", "signed_blocks_window", "double_sign_check_height"):
        value = getattr(layout, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadLayout(f"{key} {value!r} is not a whole number")
    return layout


def parse(found: object) -> Layout:
    """A layout from what a JSON file holds; what is left out is as in the default."""
    if not isinstance(found, dict):
        raise BadLayout("a layout is a JSON object")
    values = dict(_only(Layout, found, "layout"))
    if "hosts" in values:
        if not isinstance(values["hosts"], list) or not all(isinstance(host, dict) for host in values["hosts"]):
            raise BadLayout("hosts is a list of objects")
        try:
            values["hosts"] = tuple(Host(**_only(Host, host, "host")) for host in values["hosts"])
        except TypeError as error:
            raise BadLayout(f"hosts: {error}") from error
    try:
        return check(replace(Layout(), **values))
    except TypeError as error:
        raise BadLayout(f"a value has another type than expected: {error}") from error


def load(path: Path) -> Layout:
    """The layout in a file."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadLayout(f"{path}: {error}") from error
