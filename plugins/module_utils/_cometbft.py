# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the RPC of a node shows, as parts that fail one by one."""

from __future__ import annotations

from typing import Any, Optional, Sequence

PARTS = ("status", "abci_info", "consensus", "net_info", "validators", "blocks", "commits", "mempool")


def gather(
    base_url: str, deadline_s: float, commits: int = 5, parts: Optional[Sequence[str]] = None
) -> dict[str, dict[str, Any]]:
    """Ask one node's RPC for everything at once.

    base_url: "http://host:port"; deadline_s: seconds in total; commits: how many commits to read;
    parts: names out of PARTS, all when None. Returns {part name: part}; never raises for what the node does.
    """
    error = {"kind": "cannot_tell", "text": f"{base_url}: this part is not read yet"}
    return {name: {"ok": False, "error": error} for name in PARTS if parts is None or name in parts}
