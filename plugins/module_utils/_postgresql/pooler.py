# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PgBouncer's console shows of its pools. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._host.parts import clean
from . import login

MOST_ROWS = 5_000
SETTINGS = (
    "default_pool_size",
    "max_client_conn",
    "max_db_connections",
    "max_user_connections",
    "pool_mode",
    "conffile",
)
# Columns that say who waits, and for what the pool has room. A column that this version lacks is left out.
_COLUMNS = {
    "pools": "database user cl_active cl_waiting cl_cancel_req cl_active_cancel_req cl_waiting_cancel_req sv_active "
    "sv_idle sv_used sv_tested sv_login maxwait",
    "databases": "name host port pool_size max_connections current_connections paused",
    "servers": "database remote_pid",
}


def read(found: dict[str, t.Any], local: bool) -> dict[str, t.Any]:
    """The pools, the databases behind them, the server connections, the settings that matter, the clients' number.

    ``local``: whether it runs on this host. Raises PartError where the console refuses; a login of
    stats_users is enough.
    """
    login.become_peer(found)
    with login.session(found, "PgBouncer") as run:
        shown: dict[str, t.Any] = {
            name: [_row(row, columns.split()) for row in run(f"SHOW {name.upper()}")[:MOST_ROWS]]
            for name, columns in _COLUMNS.items()
        }
        version = [str(value) for row in run("SHOW VERSION")[:1] for value in row.values()]
        settings = {str(row["key"]): row["value"] for row in run("SHOW CONFIG")}
        lists = {str(row["list"]): row["items"] for row in run("SHOW LISTS")}
    return {
        **shown,
        "local": local,
        "version": clean(version[0]) if version else None,
        "settings": {name: clean(settings[name], 200) for name in SETTINGS if name in settings},
        "clients": lists.get("used_clients"),
    }


def _row(row: dict[str, t.Any], columns: t.Collection[str]) -> dict[str, t.Any]:
    return {key: clean(value, 64) if isinstance(value, str) else value for key, value in row.items() if key in columns}
