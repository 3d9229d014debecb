# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each action of a halt is on a host. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.guards import (
    CLEAR_HALT,
    FREE,
    PUT_WAL,
    RELAX,
    RESTORE,
    START,
    STOP,
    THAW,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.action import Act, Acts

# What brings a node back is followed by the wait for the block that quorum brings.
_BLOCK = Act("cometbft_wait")

ACTS: Acts = {
    START: (Act("node_service", "started"), _BLOCK),
    THAW: (Act("node_service", "thawed"), _BLOCK),
    STOP: (Act("node_service", "stopped"),),
    RELAX: (Act("double_sign_override", "present"),),
    RESTORE: (Act("double_sign_override", "absent"),),
    CLEAR_HALT: (Act("halt_height"),),
    PUT_WAL: (Act("wal_copy"),),
    FREE: (Act("old_logs"),),
}
