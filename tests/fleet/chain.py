# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain's homes: keys, a genesis with the layout's voting powers, and each node's configuration."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fleet.layout import Host, Layout
from tests.fleet.run import Failed, call

KEYRING = ("--keyring-backend", "test")
# The chain's power reduction: this many uve bonded are one unit of voting power.
POWER_UNIT = 1_000_000
# Short, so that an upgrade is decided and a jailed validator is back within a test. Less than a minute of jail is refused.
VOTING_PERIOD = "10s"
EXPEDITED_VOTING_PERIOD = "5s"
JAIL = "60s"


@dataclass(frozen=True)
class Home:
    """A node's home and what is public of its keys."""

    path: Path
    address: str
    node_id: str


def replace_setting(text: str, key: str, value: str, section: str = "") -> str:
    """A TOML text with one existing ``key`` of ``section`` set to ``value`` (as TOML); a missing key is an error."""
    start = 0
    if section:
        found = re.search(rf"^\[{re.escape(section)}\]$", text, re.MULTILINE)
        if not found:
            raise Failed(f"the configuration has no section [{section}]")
        start = found.end()
    following = re.search(r"^\[", text[start:], re.MULTILINE)
    end = start + following.start() if following else len(text)
    line = f"{key} = {value}"
    body, count = re.subn(rf"^{re.escape(key)} *=.*$", lambda _found: line, text[start:end], flags=re.MULTILINE)
    if count != 1:
        raise Failed(f"the configuration has {count} times {key} in section [{section}]")
    return text[:start] + body + text[end:]


def setting(text: str, key: str, section: str = "") -> str:
    """The value of a setting as it stands in the text."""
    body = text.split(f"\n[{section}]\n", 1)[1] if section else text
    found = re.search(rf"^(?:\[|{re.escape(key)} *= *(.*)$)", body, re.MULTILINE)
    if not found or found.group(1) is None:
        raise Failed(f"the configuration has no {key} in section [{section}]")
    return found.group(1).strip()


def set_values(path: Path, values: dict[tuple[str, str], str]) -> None:
    """Change existing settings of a file in place: {(section, key): TOML value}. Owner and mode stay."""
    text = path.read_text(encoding="utf-8")
    for (section, key), value in values.items():
        text = replace_setting(text, key, value, section)
    path.write_text(text, encoding="utf-8")


def node_settings(layout: Layout, host: Host, peers: str) -> dict[tuple[str, str], str]:
    """What a node's config.toml is changed to."""
    listen = "tcp://0.0.0.0:26657" if host.rpc == "bridge" else "tcp://127.0.0.1:26657"
    return {
        ("rpc", "laddr"): f'"{listen}"',
        ("rpc", "pprof_laddr"): '""',
        ("p2p", "persistent_peers"): f'"{peers}"',
        ("p2p", "addr_book_strict"): "false",
        # Without it the pause between two attempts grows to hours, and a healed network stays split.
        ("p2p", "persistent_peers_max_dial_period"): '"3s"',
        ("consensus", "timeout_commit"): f'"{layout.timeout_commit}"',
        ("consensus", "double_sign_check_height"): str(layout.double_sign_check_height),
    }


# A rig that stands for days must not fill its hosts' disks with old states.
APP_SETTINGS = {
    ("", "pruning"): '"custom"',
    ("", "pruning-keep-recent"): '"1000"',
    ("", "pruning-interval"): '"50"',
}


class Maker:
    """Makes the homes with the chain's own commands, as an operator would."""

    def __init__(self, binary: Path, directory: Path, layout: Layout, addresses: dict[str, str]) -> None:
        self.binary = str(binary)
        self.directory = directory
        self.layout = layout
        self.addresses = addresses

    def home(self, host: str) -> Path:
        return self.directory / host

    def command(self, host: str, *arguments: str) -> str:
        return call(self.binary, *arguments, "--home", str(self.home(host)))

    def make(self) -> dict[str, Home]:
        names = self.layout.nodes()
        for host in names:
            self.command(host, "genesis", "init", host, "--chain-id", self.layout.chain_id)
        first = self.home(names[0])
        (first / "config/gentx").mkdir(exist_ok=True)
        for validator in (host for host in self.layout.hosts if host.power):
            self._declare(validator, names[0])
        self.command(names[0], "genesis", "collect")
        genesis = json.loads((first / "config/genesis.json").read_text(encoding="utf-8"))
        self._shape(genesis)
        for host in names:
            (self.home(host) / "config/genesis.json").write_text(json.dumps(genesis, indent=1), encoding="utf-8")
        self.command(names[0], "genesis", "validate")
        homes = {host: self._read(host) for host in names}
        for standby in (host for host in self.layout.hosts if host.standby_of):
            copy_key(self.home(str(standby.standby_of)), self.home(standby.name))
            homes[standby.name] = self._read(standby.name)
        for node in names:
            self._configure(self.layout.host(node), homes)
        return homes

    def _declare(self, host: Host, first: str) -> None:
        """An account and the signed request to become a validator, given to the home where the genesis is collected."""
        self.command(host.name, "keys", "add", "operator", *KEYRING)
        account = self.command(host.name, "keys", "show", "operator", "-a", *KEYRING).strip()
        for home in sorted({first, host.name}):
            self.command(home, "genesis", "add-account", account, f"{2_000_000 * POWER_UNIT}uve")
        arguments = ("--chain-id", self.layout.chain_id, "--ip", self.addresses[host.name], *KEYRING)
        self.command(host.name, "genesis", "gentx", "operator", f"{host.power * POWER_UNIT}uve", *arguments)
        if host.name != first:
            for path in (self.home(host.name) / "config/gentx").iterdir():
                shutil.copyfile(path, self.home(first) / "config/gentx" / path.name)

    def _shape(self, genesis: dict[str, Any]) -> None:
        state = genesis["app_state"]
        state["slashing"]["params"]["signed_blocks_window"] = str(self.layout.signed_blocks_window)
        state["slashing"]["params"]["downtime_jail_duration"] = JAIL
        # Who was jailed and comes back has the power that the layout gives it.
        state["slashing"]["params"]["slash_fraction_downtime"] = "0.000000000000000000"
        state["gov"]["params"]["voting_period"] = VOTING_PERIOD
        state["gov"]["params"]["expedited_voting_period"] = EXPEDITED_VOTING_PERIOD

    def _read(self, host: str) -> Home:
        key = json.loads((self.home(host) / "config/priv_validator_key.json").read_text(encoding="utf-8"))
        return Home(self.home(host), str(key["address"]), self.command(host, "comet", "show-node-id").strip())

    def _configure(self, host: Host, homes: dict[str, Home]) -> None:
        peers = ",".join(
            f"{home.node_id}@{self.addresses[other]}:26656" for other, home in homes.items() if other != host.name
        )
        config = self.home(host.name) / "config"
        set_values(config / "config.toml", node_settings(self.layout, host, peers))
        set_values(config / "app.toml", APP_SETTINGS)


def copy_key(source: Path, target: Path) -> None:
    """Give one home the consensus key and signing state of another, as a standby has them."""
    for name in ("config/priv_validator_key.json", "data/priv_validator_state.json"):
        shutil.copyfile(source / name, target / name)
