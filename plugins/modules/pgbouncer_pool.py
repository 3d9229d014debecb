#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbouncer_pool."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_pool
short_description: Resume or resize the pools of a PgBouncer
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - Resumes one database, or all, by the console, or sets C(default_pool_size) in the configuration file and reloads it.
  - The file as it was stays beside it, named after the digest of the plan. It is replaced by a rename, so a run that is killed
    leaves the old file or the new one.
options:
  state:
    description:
      - V(resumed) ends a pause of O(database).
      - V(resized) sets C(default_pool_size) to O(pool_size). Only of a pooler that is reached by a socket or by loopback.
    type: str
    choices: [resumed, resized]
    required: true
  database:
    description: The database of the pooler to resume. By default all.
    type: str
  pool_size:
    description: The new C(default_pool_size).
    type: int
  expected_size:
    description: What C(default_pool_size) is now. Any other value is refused.
    type: int
  conffile:
    description: The pooler's configuration file.
    type: path
    default: /etc/pgbouncer/pgbouncer.ini
  digest:
    description: The digest of the plan, after which the file is named that is kept.
    type: str
  login_user:
    description: The user on the pooler's console.
    type: str
    default: pgbouncer
    aliases: [login]
  login_port:
    description: The pooler's port.
    type: int
    default: 6432
    aliases: [port]
attributes:
  diff_mode:
    support: none
    description: RV(actions) says what is done.
extends_documentation_fragment:
  - community.postgresql.postgres
  - virtengine.incident.attributes.acts
  - virtengine.incident.attributes
notes:
  - The options that say how to log in are those of the pooler. By default it is its socket, port 6432 and the user C(pgbouncer).
seealso:
  - module: virtengine.incident.postgresql_evidence
"""

EXAMPLES = r"""
- name: Resume a database that was paused
  virtengine.incident.pgbouncer_pool:
    state: resumed
    database: orders
  become: true

- name: Make the pools larger
  virtengine.incident.pgbouncer_pool:
    state: resized
    pool_size: 15
    expected_size: 10
    digest: database_connections-0123456789abcdef
  become: true
"""

RETURN = r"""
done:
  description: Whether the pooler now says that it is so.
  returned: success
  type: bool
  sample: true
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
  sample: ['RESUME "orders"']
backup:
  description: The file as it was. None where nothing was changed.
  returned: when the state is resized
  type: str
  sample: /etc/pgbouncer/pgbouncer.ini.incident-database_connections-0123456789abcdef
before:
  description: C(default_pool_size) before.
  returned: when the state is resized
  type: int
  sample: 10
after:
  description: C(default_pool_size) after.
  returned: when the state is resized
  type: int
  sample: 15
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import login, pool


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            login.options(console=True),
            state={"type": "str", "choices": ["resumed", "resized"], "required": True},
            database={"type": "str"},
            pool_size={"type": "int"},
            expected_size={"type": "int"},
            conffile={"type": "path", "default": "/etc/pgbouncer/pgbouncer.ini"},
            digest={"type": "str"},
        ),
        required_if=[
            ("state", "resized", ["pool_size", "expected_size", "digest"]),
        ],
        supports_check_mode=True,
    )
    params = module.params
    if params["pool_size"] is not None and not 1 <= params["pool_size"] <= 10000:
        module.fail_json(msg="pool_size must be from 1 to 10000. Nothing was done.")
    found = login.parameters(module, {**params, "database": None, "login_db": "pgbouncer"})
    try:
        if params["state"] == "resized":
            sizes = (params["pool_size"], params["expected_size"])
            result = pool.resize(found, params["conffile"], *sizes, params["digest"], module.check_mode)
        else:
            result = pool.resume(found, params["database"], module.check_mode)
    except (Refused, PartError, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
