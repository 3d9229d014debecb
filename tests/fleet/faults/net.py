# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the network: between hosts, and of a node's way to its peers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from tests.fleet import image, network
from tests.fleet.faults.kind import Fault, NotMade, Saved, change_settings
from tests.fleet.host import Box


def _cut(box: Box, _arguments: Sequence[str]) -> Saved:
    network.set_port(box.names, box.name, up=False)
    return {}


def _p2p_closed(box: Box, _arguments: Sequence[str]) -> Saved:
    network.close_p2p(box.names, box.name)
    return {}


def _no_peers(box: Box, _arguments: Sequence[str]) -> Saved:
    # A node writes its address book when it ends.
    box.must("systemctl", "stop", image.UNIT)
    saved = change_settings(
        box, {("config.toml", "p2p", "persistent_peers"): '""', ("config.toml", "p2p", "pex"): "false"}
    )
    book = box.home / "config/addrbook.json"
    if book.exists():
        saved["book"] = str(box.directory / "addrbook.json")
        shutil.move(book, saved["book"])
    network.close_p2p(box.names, box.name)
    box.must("systemctl", "start", image.UNIT)
    return saved


def _slow_redial(box: Box, _arguments: Sequence[str]) -> Saved:
    saved = change_settings(
        box,
        {
            ("config.toml", "p2p", "pex"): "false",
            ("config.toml", "p2p", "persistent_peers_max_dial_period"): '"0s"',
        },
    )
    box.must("systemctl", "restart", image.UNIT)
    return saved


def groups(text: str, hosts: Sequence[str]) -> list[list[str]]:
    """``vh1,vh2/vh3`` as groups of known hosts; who is not named joins the last group."""
    found = [[host for host in part.split(",") if host] for part in text.split("/")]
    named = [host for group in found for host in group]
    unknown = sorted(set(named) - set(hosts))
    if unknown:
        raise NotMade(f"split: no host {', '.join(unknown)}")
    if len(found) < 2 or len(set(named)) != len(named) or not all(found):
        raise NotMade("split: at least two groups, no host in two of them: vh1,vh2/vh3,vh4")
    # A host on neither side would carry every vote from one side to the other: no split at all.
    found[-1] += [host for host in hosts if host not in named]
    return found


FAULTS = (
    Fault("cut", "HOST", "the host's network port is down", _cut, service="any"),
    Fault("p2p-closed", "HOST", "the host's firewall drops what comes in for the p2p port", _p2p_closed),
    Fault(
        "slow-redial", "HOST", "no peer exchange: lost peers are dialled less and less often", _slow_redial, once=True
    ),
    Fault("no-peers", "HOST", "no peer is configured or known, and none can dial in", _no_peers, once=True),
)
