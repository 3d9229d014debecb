# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle as it would be once a node is stopped. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

_REFUSED = {"ok": False, "error": {"kind": "refused", "text": "the node would be stopped"}}
_DOWN = {"active_state": "inactive", "sub_state": "dead", "main_pid": None, "result": "success"}


def stopped_now(bundle: dict[str, t.Any], host: str) -> dict[str, t.Any]:
    """The checked bundle with every look at ``host`` as after a clean stop at that moment; the rest is shared.

    Every look: a later run takes two of them after the stop, and neither shows what only this node knew.
    """
    observations = [
        {**entry, "data": _stopped(entry["data"])}
        if entry["host"] == host and entry["source"] == "node_evidence" and entry["ok"]
        else entry
        for entry in bundle["observations"]
    ]
    return {**bundle, "observations": observations}


def _stopped(data: dict[str, t.Any]) -> dict[str, t.Any]:
    clock = data.get("clock")
    at = clock.get("now") if isinstance(clock, dict) else None
    return {
        **data,
        "unit": _with(data.get("unit"), {**_DOWN, "stopped_at": at}),
        "process": _with(data.get("process"), {"main": None}),
        "p2p": _REFUSED,
        "rpc": dict.fromkeys(data["rpc"], _REFUSED) if isinstance(data.get("rpc"), dict) else {},
    }


def _with(part: t.Any, changes: dict[str, t.Any]) -> t.Any:
    """A part with some of its data changed; one that failed, or has another shape, stays as it is."""
    whole = isinstance(part, dict) and part.get("ok") is True and isinstance(part.get("data"), dict)
    return {**part, "data": {**part["data"], **changes}} if whole else part
