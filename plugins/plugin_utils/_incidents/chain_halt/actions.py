# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of a halt: their words, the modules they are made of, what undoes what. PRIVATE to the collection."""

from __future__ import annotations

from ..._path.plan.action import Action, Actions, Call

START = "start_node"
THAW = "thaw_node"
STOP = "stop_node"
RELAX = "relax_double_sign_check"
RESTORE = "restore_double_sign_check"
CLEAR_HALT = "clear_halt_height"
PUT_WAL = "put_wal_back"
FREE = "free_space"


def _call(module: str, state: str | None = None, proof: str | None = None) -> Call:
    return Call(f"virtengine.incident.{module}", state, proof)


# A start and a thaw are followed by the wait for the block that quorum makes possible.
_BLOCK = _call("cometbft_wait", proof="reached")

ACTIONS: Actions = {
    START: Action("start the node on", (_call("node_service", "started"), _BLOCK)),
    THAW: Action("thaw the node on", (_call("node_service", "thawed"), _BLOCK)),
    STOP: Action("stop the node on", (_call("node_service", "stopped"),)),
    RELAX: Action("set double_sign_check_height to 0 on", (_call("double_sign_override", "present"),)),
    RESTORE: Action("restore double_sign_check_height on", (_call("double_sign_override", "absent"),), undoes=RELAX),
    CLEAR_HALT: Action("take the halt height out of app.toml on", (_call("halt_height"),)),
    PUT_WAL: Action("put the old write-ahead log back on", (_call("wal_copy"),)),
    FREE: Action("compress old log files on the full disk of", (_call("old_logs"),)),
}
