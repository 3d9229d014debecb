# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All evidence of one database in one call: server, pooler and host, each part in a process of its own. PRIVATE."""

from __future__ import annotations

import time
import typing as t

from .._host import lock, parts
from . import host, login, pooler, server

Parameters = dict[str, t.Any]


class Options(t.NamedTuple):
    """What to ask. ``on_host``: whether the server runs on the host that the module runs on."""

    server: Parameters
    pooler: t.Optional[Parameters]
    on_host: bool
    port: int
    units: tuple[str, ...]
    server_log: t.Optional[str]
    log_since_s: int
    deadline: float


def collect(options: Options) -> dict[str, t.Any]:
    """The parts of the evidence, at the latest after ``options.deadline`` seconds."""
    until = time.monotonic() + options.deadline - 1
    work: dict[str, t.Callable[[], t.Any]] = {
        "server": lambda: server.read(options.server),
        "responder_locks": lock.seen,
    }
    if options.pooler is not None:
        asked = options.pooler
        work["pooler"] = lambda: pooler.read(asked, login.is_local(asked))
    if options.on_host:
        since = time.time() - options.log_since_s
        work.update(
            processes=lambda: host.processes(options.port),
            disk=lambda: host.disk(options.port),
            memory=host.memory,
            units=lambda: host.units(options.units, 5),
            pooler_log=lambda: host.pooler_log(since),
            log=lambda: host.log(options.server_log, since),
        )
    return parts.gather(work, until)
