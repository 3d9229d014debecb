#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module postgresql_evidence."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_evidence
short_description: Read everything about a database's connections that matters in an incident
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - Asks a PostgreSQL server, the console of its PgBouncer and the host they run on, in one call. Changes nothing.
  - Shows the sessions by state, role, application and age, who waits for whom, prepared transactions, limits, replication
    slots and settings of the server; pools, waiting clients and settings of the pooler; units, processes, memory, disk and
    the server's own log lines of refusals of the host.
  - Whatever cannot be read is a part of the answer with the reason, never a failure of the task. A server that refuses the
    connection for want of slots is evidence; the pooler and the host still answer then. The task fails only on wrong options.
    A Python library that is missing on the host is said as the reason of the part.
  - A role with C(pg_monitor) is enough. Comments and values in the text of statements are replaced on the host.
options:
  login_db:
    description: The database to connect to.
    type: str
    default: postgres
  pooler:
    description:
      - How to log in to the console of PgBouncer, with the same options as for the server (C(login_host), C(login_port),
        C(login_unix_socket), C(login_user), C(login_password)). By default its socket beside the server's, port 6432, user
        C(pgbouncer). A user of C(stats_users) is enough to look.
      - Of a server on another host, such as a managed one, its pooler is asked only where this is set.
    type: dict
    default: {}
    suboptions:
      login_host:
        description: Host of the pooler.
        type: str
      login_unix_socket:
        description: Folder of its socket.
        type: str
      login_port:
        description: Its port.
        type: int
      login_user:
        description: User on its console.
        type: str
      login_password:
        description: Password of that user. Better is a password file in O(pooler.connect_params).
        type: str
      ssl_mode:
        description: As of the server.
        type: str
      ca_cert:
        description: As of the server.
        type: path
      connect_params:
        description: As of the server.
        type: dict
  units:
    description: The systemd services of server and pooler. One that does not exist is shown as such.
    type: list
    elements: str
    default: [postgresql@15-main.service, postgresql.service, pgbouncer.service]
  server_log:
    description: The server's log file. By default the newest one where Debian and Red Hat keep it.
    type: path
  log_since_s:
    description: How many seconds of the log to read.
    type: int
    default: 900
  on_host:
    description: Whether the server runs on the host that this module runs on. By default where O(login_host) is a socket or loopback.
    type: bool
  delay:
    description: Seconds to wait on the host before looking, so that two looks lie a known time apart.
    type: int
    default: 0
  deadline:
    description: Seconds after which the answer must be there, the O(delay) included. What is not finished by then is reported as late.
    type: int
    default: 20
extends_documentation_fragment:
  - community.postgresql.postgres
  - virtengine.incident.attributes
  - virtengine.incident.attributes.reads_only
notes:
  - As root, and without a password, it becomes the system's user of the login's name for the time of the connection, whom
    peer authentication lets in by the socket.
  - PostgreSQL 12 or newer, PgBouncer 1.12 or newer.
seealso:
  - module: virtengine.incident.postgresql_backends
  - module: virtengine.incident.pgbouncer_pool
"""

EXAMPLES = r"""
- name: Look at the database of this host, by peer authentication
  virtengine.incident.postgresql_evidence:
  become: true
  register: looked

- name: Look at a managed database from the controller, with a password file
  virtengine.incident.postgresql_evidence:
    login_host: db.example.org
    login_user: monitor
    ssl_mode: verify-full
    connect_params:
      passfile: ~/.pgpass
  delegate_to: localhost
"""

RETURN = r"""
evidence:
  description:
    - Parts by name, each C({"ok", "data"}) or C({"ok", "error"}).
    - Of C(server), the data are parts as well, one for each query.
  returned: success
  type: dict
  contains:
    server:
      description: Identity, settings, sessions, waits, prepared transactions, databases, roles and slots.
      type: dict
    pooler:
      description: Pools, databases, server connections, settings and the number of clients of PgBouncer.
      type: dict
    pooler_log:
      description: The pooler's newest PAUSE or RESUME of all databases, and its failed logins.
      type: dict
    processes:
      description: The server's process as the host shows it.
      type: dict
    units:
      description: State of the services.
      type: dict
    disk:
      description: Room where the data directory is, bytes and inodes.
      type: dict
    memory:
      description: Memory of the host, bytes.
      type: dict
    log:
      description: The server's lines of refusals and ends, by kind.
      type: dict
    responder_locks:
      description: Locks of responders on this host.
      type: dict
  sample:
    server:
      ok: false
      error:
        kind: exhausted
        text: "PostgreSQL: FATAL: sorry, too many clients already"
    disk:
      ok: true
      data: {path: /var/lib/postgresql/15/main, bytes: 2040373248, free_bytes: 1903947776, inodes: 8192, free_inodes: 7003}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import collect, login


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            login.options(),
            pooler={"type": "dict", "default": {}, "options": login.CONSOLE},
            units={
                "type": "list",
                "elements": "str",
                "default": ["postgresql@15-main.service", "postgresql.service", "pgbouncer.service"],
            },
            server_log={"type": "path"},
            log_since_s={"type": "int", "default": 900},
            on_host={"type": "bool"},
            delay={"type": "int", "default": 0},
            deadline={"type": "int", "default": 20},
        ),
        supports_check_mode=True,
    )
    params = module.params
    begun = time.monotonic()
    if params["delay"] < 0 or not 3 <= params["deadline"] - params["delay"] <= 3600:
        module.fail_json(msg="delay must not be negative, and deadline must leave 3 seconds to an hour after it")
    try:
        units = tuple(systemd.unit_name(name) for name in params["units"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    server = login.parameters(module, params)
    on_host = login.is_local(server) if params["on_host"] is None else params["on_host"]
    asked = on_host or any(value is not None for value in params["pooler"].values())
    pooler = login.parameters(module, login.of_console(params, params["pooler"])) if asked else None
    time.sleep(params["delay"])
    evidence = collect.collect(
        collect.Options(
            server=server,
            pooler=pooler,
            on_host=on_host,
            port=params["login_port"],
            units=units,
            server_log=params["server_log"],
            log_since_s=params["log_since_s"],
            deadline=params["deadline"] - (time.monotonic() - begun),
        )
    )
    module.exit_json(changed=False, evidence=evidence)


if __name__ == "__main__":
    main()
