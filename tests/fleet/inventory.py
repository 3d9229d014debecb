# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible and ssh reach the hosts: a wrapper, an ssh configuration and the inventory ``validators``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fleet.layout import Layout
from tests.fleet.names import Names

RELAY = Path(__file__).with_name("relay.py")
GROUPS = {"validator": "validators", "full node": "sentries", "standby": "standbys", "database": "databases"}
ALIVE = {"ServerAliveInterval": "3", "ServerAliveCountMax": "2", "ConnectTimeout": "5"}


def ssh_files(names: Names, addresses: Mapping[str, str], host_keys: Mapping[str, str]) -> None:
    """Write known_hosts, the wrapper ``ssh`` and ``ssh_config`` into the rig's directory.

    The hosts' addresses exist only inside the control namespace. The wrapper runs ssh in there; for programs that
    bring their own ssh, the configuration has a ProxyCommand that goes in.
    """
    state = names.state
    lines = [f"{addresses[host]},{host} {key}" for host, key in host_keys.items()]
    (state / "known_hosts").write_text("\n".join(lines) + "\n", encoding="utf-8")
    wrapper = state / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {names.control} ssh "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    options = {
        "User": "root",
        "IdentityFile": str(state / "id"),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(state / "known_hosts"),
        "StrictHostKeyChecking": "yes",
        "LogLevel": "ERROR",
        **ALIVE,
        "ProxyCommand": f"ip netns exec {names.control} {sys.executable} -I {RELAY} %h %p",
    }
    text = "".join(f"Host {host}\n  HostName {address}\n" for host, address in addresses.items())
    text += "Host *\n" + "".join(f"  {key} {value}\n" for key, value in options.items())
    (state / "ssh_config").write_text(text, encoding="utf-8")


def _groups(layout: Layout) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {group: [] for group in GROUPS.values()}
    for host in layout.hosts:
        if host.ours:
            found[GROUPS[host.role]].append(host.name)
    always = ("validators",) if layout.nodes() else ()
    return {group: hosts for group, hosts in found.items() if hosts or group in always}


def text(
    names: Names,
    layout: Layout,
    addresses: Mapping[str, str],
    signers: Mapping[str, str],
    hosts: Sequence[str] | None = None,
    extra: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """The inventory in INI form.

    ``hosts``: only these (default: all of ours). ``extra``: more variables per host. ``signers``: the consensus
    address of each validator.
    """
    wanted = set(layout.names() if hosts is None else hosts)
    groups = {group: [host for host in there if host in wanted] for group, there in _groups(layout).items()}
    chain = f" Chain {layout.chain_id}." if layout.nodes() else ""
    lines = [f"# The hosts of the rig {names.rig!r} that are ours.{chain}"]
    for group, members in groups.items():
        lines += ["", f"[{group}]"]
        for host in members:
            values = {"ansible_host": addresses[host]}
            if layout.host(host).power:
                values["incident_validator_address"] = signers[host]
            values.update((extra or {}).get(host, {}))
            lines.append(" ".join([host, *(f"{key}={value}" for key, value in values.items())]))
    options = {"UserKnownHostsFile": str(names.state / "known_hosts"), "StrictHostKeyChecking": "yes", **ALIVE}
    common = " ".join(f"-o {key}={value}" for key, value in options.items())
    lines += [
        "",
        "[fleet:children]",
        *groups,
        "",
        "[fleet:vars]",
        "ansible_user=root",
        f"ansible_ssh_executable={names.state / 'ssh'}",
        f"ansible_ssh_private_key_file={names.state / 'id'}",
        f"ansible_ssh_common_args='{common}'",
        # Files go through the wrapper too: sftp and scp would start an ssh of their own.
        "ansible_ssh_transfer_method=piped",
        "ansible_python_interpreter=/usr/bin/python3",
    ]
    return "\n".join(lines) + "\n"
