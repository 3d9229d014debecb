# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the chain's operators do with transactions: propose, vote, come out of jail."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.fleet import image, record, watch
from tests.fleet.host import Box
from tests.fleet.run import PATIENCE_S, Failed

if TYPE_CHECKING:
    from tests.fleet.rig import Rig

BINARY = "/usr/bin/virtengine"
HOME = f"{image.NODE_HOME}/.virtengine"
AS_NODE = ("runuser", "-u", image.NODE_USER, "--")
# The chain keeps a validator in jail for at least a minute.
FREE_WITHIN_S = 600


def _transact(box: Box, chain_id: str, *command: str) -> None:
    """Send a transaction of this host's operator. That it is in a block, and did what it should, is for the caller."""
    signed_by = ("--from", "operator", "--keyring-backend", "test", "--chain-id", chain_id, "--home", HOME)
    costs = ("--gas", "500000", "--fees", "5000uve", "--yes", "--output", "json")
    said = box.must(*AS_NODE, BINARY, "tx", *command, *signed_by, *costs)
    answer: Any = json.loads(said)
    if answer.get("code"):
        raise Failed(f"{box.name}: tx {' '.join(command)}: {answer.get('raw_log')}")


def _proposals(box: Box) -> dict[int, str]:
    """Each proposal and its status. Before the first one the chain's command fails."""
    done = box.run([*AS_NODE, BINARY, "query", "gov", "proposals", "--home", HOME, "--output", "json"])
    if done.returncode:
        return {}
    return {int(row["id"]): str(row["status"]) for row in json.loads(done.stdout)["proposals"]}


def voters(rig: Rig) -> list[Box]:
    """The most powerful validators that run, until they have more than half of all power."""
    found = []
    power = 0
    for host in sorted(rig.layout.hosts, key=lambda host: -host.power):
        if host.power and watch.unit_is_well(rig.box(host.name)):
            found.append(rig.box(host.name))
            power += host.power
            if power * 2 > rig.layout.total:
                return found
    raise Failed("no proposal can pass: more than half of the power does not run")


def _until(box: Box, what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"{box.name}: {what} did not come within {PATIENCE_S} s")
        time.sleep(0.5)


def _pass(rig: Rig, *proposal: str) -> None:
    """Propose something and vote for it until it is decided."""
    willing = voters(rig)
    first = willing[0]
    before = max(_proposals(first), default=0)
    paper = ("--title", "rig", "--summary", "rig", "--deposit", "10000000uve")
    _transact(first, rig.layout.chain_id, *proposal, *paper)
    _until(first, "the proposal", lambda: max(_proposals(first), default=0) > before)
    for voter in willing:
        _transact(voter, rig.layout.chain_id, "gov", "vote", str(before + 1), "yes")
    voting = "PROPOSAL_STATUS_VOTING_PERIOD"
    _until(first, "the end of the vote", lambda: _proposals(first).get(before + 1) != voting)
    status = _proposals(first).get(before + 1)
    if status != "PROPOSAL_STATUS_PASSED":
        raise Failed(f"{first.name}: {' '.join(proposal)} ended as {status}; is its height too near?")


def plan_upgrade(rig: Rig, at: int, name: str) -> None:
    """Let the chain decide to upgrade at a height."""
    _pass(rig, "upgrade", "software-upgrade", name, "--upgrade-height", str(at), "--no-validate")


def cancel_upgrade(rig: Rig) -> None:
    """Let the chain decide that the planned upgrade is off."""
    _pass(rig, "upgrade", "cancel-upgrade-proposal")


def unjail(box: Box) -> None:
    """Bring a jailed validator back into the set; one that is there already is left alone."""
    found = record.load(box.names)
    if found is None:
        raise Failed(f"{box.name}: its rig has no record")
    address = found.signers[box.name]
    deadline = time.monotonic() + FREE_WITHIN_S
    while address not in watch.signers(box):
        if time.monotonic() > deadline:
            raise Failed(f"{box.name} is not back in the set after {FREE_WITHIN_S} s")
        # Too early it is refused in its block; so it is sent again.
        with contextlib.suppress(Failed, ValueError):
            # The node may still be on its way to the newest block, or the one before waits for its block.
            _transact(box, found.layout.chain_id, "slashing", "unjail")
        watch.wait_for_blocks(box.names, found, 2, hosts=[box.name])
