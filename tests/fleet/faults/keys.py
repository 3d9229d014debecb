# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what a validator signs with: its key, its signing state, its place in the set."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence

from tests.fleet import chain, image, record, watch
from tests.fleet.faults.kind import Fault, NotMade, Saved, change_settings, choose
from tests.fleet.host import Box
from tests.fleet.run import Failed

STATES = ("missing", "ahead", "behind")
STATE_FILE = "data/priv_validator_state.json"
FAR_AHEAD = 100_000
BEHIND = 5
# No signer ever dials in here.
SIGNER_PORT = 36659
# A validator that misses half of so many blocks is out of the set within two minutes.
LONGEST_WINDOW = 100
JAILED_WITHIN_S = 600


def _own_key_aside(box: Box, holder_name: str, kind: str) -> Box:
    """Keep the host's own key for the healing; returns the host whose key is to be copied."""
    holder = Box(box.names, holder_name)
    if not (holder.home / "config/priv_validator_key.json").exists() or holder.name == box.name:
        raise NotMade(f"{kind}: {holder_name!r} is no other host of this rig")
    saved = box.directory / "own-key"
    if saved.exists():
        raise NotMade(f"{box.name} holds the key of another host already: heal it first")
    (saved / "config").mkdir(parents=True)
    (saved / "data").mkdir()
    return holder


def _take_key(box: Box, holder: Box) -> Saved:
    saved = box.directory / "own-key"
    chain.copy_key(box.home, saved)
    chain.copy_key(holder.home, box.home)
    return {"copy": str(saved)}


def _standby(box: Box, arguments: Sequence[str]) -> Saved:
    holder = _own_key_aside(box, arguments[0], "standby")
    box.must("systemctl", "disable", "--now", image.UNIT)
    return _take_key(box, holder)


def _clone(box: Box, arguments: Sequence[str]) -> Saved:
    """Both run with one key. HOST only follows the chain: its signing state is too far ahead to sign anything.

    With ``signs`` it is a true copy. Each time it is their turn, both propose and vote for a block of their own, which
    the chain punishes within a minute: the validator is out of the set for good.
    """
    if arguments[1:] not in ((), ("signs",)):
        raise NotMade("clone: what may follow is 'signs'")
    if not watch.unit_is_well(Box(box.names, arguments[0])):
        raise NotMade(f"clone: the node on {arguments[0]} does not run")
    holder = _own_key_aside(box, arguments[0], "clone")
    box.must("systemctl", "stop", image.UNIT)
    saved = _take_key(box, holder)
    if not arguments[1:]:
        _set_signed_height(box, FAR_AHEAD)
    box.must("systemctl", "start", image.UNIT)
    return saved


def _set_signed_height(box: Box, more: int) -> None:
    """Add to the height that the host's key signed last."""
    path = box.home / STATE_FILE
    found = json.loads(path.read_text(encoding="utf-8"))
    found["height"] = str(max(1, int(found["height"]) + more))
    # They belong to the height that was signed.
    found.pop("signature", None)
    found.pop("signbytes", None)
    path.write_text(json.dumps(found, indent=2), encoding="utf-8")
    box.own(path)


def _signing_state(box: Box, arguments: Sequence[str]) -> Saved:
    how = choose("signing-state", arguments[0], STATES)
    box.must("systemctl", "stop", image.UNIT)
    path = box.home / STATE_FILE
    copy = box.directory / "signing-state"
    shutil.copyfile(path, copy)
    if how == "missing":
        path.unlink()
    else:
        _set_signed_height(box, FAR_AHEAD if how == "ahead" else -BEHIND)
    if how != "behind":
        # One that is behind its own votes must never run: it would sign a height twice.
        box.must("systemctl", "start", image.UNIT)
    return {"copy": str(copy), "how": how}


def _signer(box: Box, _arguments: Sequence[str]) -> Saved:
    laddr = f'"tcp://127.0.0.1:{SIGNER_PORT}"'
    saved = change_settings(box, {("config.toml", "", "priv_validator_laddr"): laddr})
    box.must("systemctl", "restart", image.UNIT)
    return saved


def _jail(box: Box, _arguments: Sequence[str]) -> Saved:
    found = record.load(box.names)
    if found is None or not found.layout.host(box.name).power:
        raise NotMade(f"jail: {box.name} is no validator")
    if not 0 < found.layout.signed_blocks_window <= LONGEST_WINDOW:
        raise NotMade(f"jail: the layout needs a signed_blocks_window of at most {LONGEST_WINDOW}")
    witness = Box(box.names, next(host for host in found.layout.nodes() if host != box.name))
    box.must("systemctl", "stop", image.UNIT)
    deadline = time.monotonic() + JAILED_WITHIN_S
    # A set that cannot be had is no set without it.
    while found.signers[box.name] in (watch.signers(witness) or {found.signers[box.name]}):
        if time.monotonic() > deadline:
            raise Failed(f"{box.name} is still in the set after {JAILED_WITHIN_S} s without it: do blocks come?")
        time.sleep(1)
    box.must("systemctl", "start", image.UNIT)
    return {}


FAULTS = (
    Fault("standby", "HOST OF", "stopped, HOST holds a copy of OF's consensus key", _standby, 1, 1, once=True),
    Fault("clone", "HOST OF [signs]", "HOST runs with OF's consensus key while OF runs", _clone, 1, 2, once=True),
    Fault(
        "signing-state",
        "HOST missing|ahead|behind",
        "the signing state is away, ahead of the chain, or behind it (left stopped)",
        _signing_state,
        1,
        1,
        once=True,
    ),
    Fault("signer", "HOST", "it waits for a remote signer that never comes, and exits", _signer, once=True),
    Fault("jail", "HOST", "stopped until it is jailed, then started (small signed_blocks_window)", _jail, once=True),
)
