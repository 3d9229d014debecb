# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every name and path of a rig follows from the rig's name, so that what a killed run left can be found again."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

STATE_ROOT = Path("/var") / "tmp" / "virtengine-incident"
RIG_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
HOST_NAME = re.compile(r"[a-z][a-z0-9]{0,8}")
# No rig or host name holds a dot, so "vei.a." is never the beginning of another rig's names.
PREFIX = "vei"


class BadName(ValueError):
    """A rig's or host's name that cannot be used; the text says what can."""


@dataclass(frozen=True)
class Names:
    """Names of the rig called ``rig``."""

    rig: str

    def __post_init__(self) -> None:
        if not RIG_NAME.fullmatch(self.rig):
            raise BadName(f"{self.rig!r} cannot name a rig: at most 20 of a-z, 0-9 and '-', the first not '-'")

    @property
    def state(self) -> Path:
        return STATE_ROOT / self.rig

    @property
    def lock(self) -> Path:
        return STATE_ROOT / f".{self.rig}.lock"

    @property
    def prefix(self) -> str:
        return f"{PREFIX}.{self.rig}."

    @property
    def control(self) -> str:
        """The network namespace in which the hosts' addresses exist and Ansible's ssh runs."""
        return f"{self.prefix}control-ns"

    def machine(self, host: str) -> str:
        """The host's name on this machine: its namespace, cgroup and container."""
        return f"{self.prefix}{host}"

    def host_dir(self, host: str) -> Path:
        return self.state / "hosts" / host


def port(host: str) -> str:
    """The host's port of the bridge in the control namespace (interface names have at most 15 characters)."""
    return f"port-{host}"


def subnet(rig: str, taken: frozenset[str] | set[str] = frozenset()) -> str:
    """The first three numbers of the rig's addresses.

    Two rigs stand in namespaces of their own, but ssh's shared connections are named after the address, so each
    rig has its own. Taken from the name's hash; ``taken`` are the ones of the other rigs.
    """
    number = int.from_bytes(hashlib.sha256(rig.encode()).digest()[:2], "big")
    for shift in range(1 << 14):
        candidate = (number + shift) % (1 << 14)
        found = f"10.{64 + (candidate >> 8)}.{candidate & 255}"
        if found not in taken:
            return found
    raise BadName("every subnet is taken")


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "virtengine-incident" / "fleet"


REPO = Path(__file__).resolve().parents[2]
