# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that failed half-way: what their healing has to know, and where a node must stay stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fleet import image
from tests.fleet.faults.kind import Saved
from tests.fleet.run import Failed

if TYPE_CHECKING:
    from tests.fleet.host import Box

KEY, STATE = "config/priv_validator_key.json", "data/priv_validator_state.json"
# They change what a validator signs with. Each first keeps what was there, whole, and only then changes it.
SIGNING = ("signing-state", "standby", "clone")
# Their healing puts back what only the end of the fault would have told.
_UNKNOWN = frozenset(
    (
        *("damage", "wal-lost", "app-hash", "dsch", "impatient", "no-empty-blocks", "signer", "genesis"),
        *("new-binary", "old-binary", "no-peers"),
    )
)


def kept(signer: str | None, box: Box, kind: str, arguments: Sequence[str]) -> Saved | None:
    """What the healing of an unfinished fault must know; ``None``: nothing was changed that it would put back.

    ``signer``: the consensus address of the host's own key. Raises where nobody can tell what the node would sign with;
    then its unit is stopped and stays so.
    """
    if kind in _UNKNOWN:
        raise _stays_stopped(box, kind, "what was there before is not known")
    if kind not in SIGNING:
        return {}
    box.run(["systemctl", "stop", image.UNIT])
    copy = box.directory / ("signing-state" if kind == "signing-state" else "own-key")
    if kind == "signing-state":
        if _height(copy) is not None:
            return {"copy": str(copy), "how": arguments[0]}
    elif _is_own(copy, signer):
        return {"copy": str(copy)}
    # The change comes after the copy: without a copy what lies in the home is the host's own.
    if copy.is_file() or not _is_own(box.home, signer):
        raise _stays_stopped(box, kind, "neither the home nor a copy shows a whole signing state of its own key")
    return None


def _is_own(home: Path, signer: str | None) -> bool:
    """Whether key and signing state below ``home`` are whole and the host's own."""
    found = _read(home / KEY).get("address")
    return signer is not None and found == signer and _height(home / STATE) is not None


def _height(path: Path) -> int | None:
    try:
        return int(_read(path)["height"])
    except (KeyError, TypeError, ValueError):
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _stays_stopped(box: Box, kind: str, why: str) -> Failed:
    box.run(["systemctl", "disable", "--now", image.UNIT])
    return Failed(
        f"{box.name}: the fault {kind} failed half-way, and {why}. Its node stays stopped: take the rig down and up again"
    )
