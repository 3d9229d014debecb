# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a database host: the sessions of one application. Each runs its statements once and then holds its session.

The one argument is JSON: ``count``, ``statements``, ``again`` (a session that ends is opened anew), and ``connect``
with what psycopg2 takes. The password is in PGPASSWORD. Who is refused tries again. The unit that runs this ends it.
"""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from typing import Any

import psycopg2

PAUSE_S = 0.2


def _session(load: dict[str, Any]) -> None:
    stood = False
    while load["again"] or not stood:
        try:
            connection = psycopg2.connect(**load["connect"])
            stood = True
            # What is a transaction is for the statements to say.
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in load["statements"]:
                    cursor.execute(statement)
            # The server says nothing to a session that is idle, until it ends it.
            select.select([connection], [], [])
            connection.close()
        except psycopg2.Error as error:
            print(error, end="", flush=True)
        time.sleep(PAUSE_S)


def main() -> None:
    load = json.loads(sys.argv[1])
    sessions = [threading.Thread(target=_session, args=(load,)) for _session_number in range(load["count"])]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()


if __name__ == "__main__":
    main()
