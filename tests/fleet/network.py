# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rig's network: a control namespace with a bridge and no way out, and one namespace per host joined to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.fleet.names import Names, port
from tests.fleet.run import attempt, call

SPLIT = "fleet_split"
CLOSED = "fleet_closed"
P2P_PORT = 26656


def existing() -> set[str]:
    """Names of the network namespaces of this machine."""
    directory = Path("/run/netns")
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def make_control(names: Names, subnet: str) -> None:
    call("ip", "netns", "add", names.control)
    for command in (
        ("link", "set", "lo", "up"),
        ("link", "add", "br0", "type", "bridge"),
        ("addr", "add", f"{subnet}.1/24", "dev", "br0"),
        ("link", "set", "br0", "up"),
    ):
        call("ip", "-n", names.control, *command)


def join(names: Names, host: str, address: str) -> None:
    """Make the host's namespace and plug it into the bridge."""
    machine = names.machine(host)
    call("ip", "netns", "add", machine)
    pair = ("type", "veth", "peer", "name", "host0", "netns", machine)
    call("ip", "link", "add", port(host), "netns", names.control, *pair)
    call("ip", "-n", names.control, "link", "set", port(host), "master", "br0", "up")
    for command in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{address}/24", "dev", "host0"),
        ("link", "set", "host0", "up"),
    ):
        call("ip", "-n", machine, *command)


def set_port(names: Names, host: str, up: bool) -> None:
    call("ip", "-n", names.control, "link", "set", port(host), "up" if up else "down")


def port_is_up(names: Names, host: str) -> bool:
    shown = attempt(["ip", "-n", names.control, "-o", "link", "show", "dev", port(host)])
    return shown.returncode == 0 and "state DOWN" not in shown.stdout


def split_rules(groups: Sequence[Sequence[str]]) -> str:
    """The nft script that lets no frame pass from a host of one group to a host of another.

    The control namespace itself still reaches all hosts: what the bridge forwards is split, what ends at it is not.
    """
    rules = []
    for group in groups:
        others = [host for other in groups if other is not group for host in other]
        if group and others:
            left = ", ".join(f'"{port(host)}"' for host in group)
            right = ", ".join(f'"{port(host)}"' for host in others)
            rules.append(f"    iifname {{ {left} }} oifname {{ {right} }} drop")
    chain = "\n".join(["    type filter hook forward priority 0; policy accept;", *rules])
    return f"table bridge {SPLIT} {{\n  chain forward {{\n{chain}\n  }}\n}}\n"


def split(names: Names, groups: Sequence[Sequence[str]]) -> None:
    join_again(names)
    call("ip", "netns", "exec", names.control, "nft", "-f", "-", stdin=split_rules(groups))


def join_again(names: Names) -> None:
    """End a split; without one nothing happens."""
    attempt(["ip", "netns", "exec", names.control, "nft", "delete", "table", "bridge", SPLIT])


def close_p2p(names: Names, host: str) -> None:
    """The host's firewall drops what comes in for the p2p port; connections that the host opens go on."""
    rules = f"table inet {CLOSED} {{\n  chain input {{\n    type filter hook input priority 0; policy accept;\n"
    rules += f"    tcp dport {P2P_PORT} drop\n  }}\n}}\n"
    open_p2p(names, host)
    call("ip", "netns", "exec", names.machine(host), "nft", "-f", "-", stdin=rules)


def open_p2p(names: Names, host: str) -> None:
    """Take that rule away; without one nothing happens."""
    attempt(["ip", "netns", "exec", names.machine(host), "nft", "delete", "table", "inet", CLOSED])


def remove(namespaces: Iterable[str]) -> None:
    """Remove namespaces; what still runs in them (shared ssh connections, a test) is killed first."""
    for namespace in namespaces:
        for pid in attempt(["ip", "netns", "pids", namespace]).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        attempt(["ip", "netns", "delete", namespace])
