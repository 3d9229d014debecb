#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module postgresql_backends."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_backends
short_description: Cancel or end named sessions of a PostgreSQL server
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - Sends the signal in the same statement that checks who the sessions are. A session is named by its process, its start, the
    start of its newest statement and its state, so that a process number that was given to another session is never hit.
  - Touches only client sessions. Sessions of roles that are superusers or may replicate, and of the protected roles and
    applications, are never touched, whatever is named.
  - Waits until the named sessions are gone, or their statement is. One that has gone before is done.
options:
  state:
    description:
      - V(cancelled) ends the statement that a session runs; it keeps its connection and its transaction is rolled back.
      - V(terminated) ends the session; its transaction is rolled back.
    type: str
    choices: [cancelled, terminated]
    required: true
  backends:
    description: The sessions, each with C(pid), C(started_at), C(query_at) and C(state) as M(virtengine.incident.postgresql_evidence) shows them.
    type: list
    elements: dict
    required: true
    suboptions:
      pid:
        description: Number of the process.
        type: int
        required: true
      started_at:
        description: When the session began.
        type: str
        required: true
      query_at:
        description: When its newest statement began. Empty for a session that has run none.
        type: str
        required: true
      state:
        description: Its state, such as V(idle in transaction).
        type: str
        required: true
  protected_roles:
    description: Roles whose sessions are never touched.
    type: list
    elements: str
    default: []
  protected_applications:
    description: Applications whose sessions are never touched. One that begins with such a name is meant as well.
    type: list
    elements: str
    default: []
  login_db:
    description: The database to connect to.
    type: str
    default: postgres
  wait_s:
    description: How long to wait for the sessions to be gone.
    type: int
    default: 10
attributes:
  diff_mode:
    support: none
    description: RV(actions) says what is done.
extends_documentation_fragment:
  - community.postgresql.postgres
  - virtengine.incident.attributes.acts
  - virtengine.incident.attributes
notes:
  - The login needs C(pg_monitor) and C(pg_signal_backend), or to be a superuser.
  - Ending a session cannot be undone. What was rolled back is done again by its application, or not at all.
seealso:
  - module: virtengine.incident.postgresql_evidence
"""

EXAMPLES = r"""
- name: End a session that holds locks and does nothing
  virtengine.incident.postgresql_backends:
    state: terminated
    backends:
      - pid: 4711
        started_at: "2026-11-30T21:00:00.123456Z"
        query_at: "2026-11-30T21:00:01.000001Z"
        state: idle in transaction
  become: true
"""

RETURN = r"""
signalled:
  description: Processes of the sessions that were sent the signal, or in check mode would be.
  returned: success
  type: list
  elements: int
  sample: [4711]
gone:
  description: Processes of named sessions that were not there any more, or did something else, before anything was sent.
  returned: success
  type: list
  elements: int
  sample: []
ended:
  description: Whether every session that was sent the signal ended, or its statement did, in time.
  returned: success
  type: bool
  sample: true
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
  sample: [terminate 4711]
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import backends, login


def main() -> None:
    """Run the module."""
    session = {key: {"type": kind, "required": True} for key, kind in backends.NAMED.items()}
    module = AnsibleModule(
        argument_spec=dict(
            login.options(),
            state={"type": "str", "choices": ["cancelled", "terminated"], "required": True},
            backends={"type": "list", "elements": "dict", "required": True, "options": session},
            protected_roles={"type": "list", "elements": "str", "default": []},
            protected_applications={"type": "list", "elements": "str", "default": []},
            wait_s={"type": "int", "default": 10},
        ),
        supports_check_mode=True,
    )
    params = module.params
    if not 0 <= params["wait_s"] <= 300:
        module.fail_json(msg="wait_s must be from 0 to 300. Nothing was done.")
    if not params["backends"]:
        module.fail_json(msg="backends is empty: nothing stands for all sessions. Nothing was done.")
    found = login.parameters(module, params)
    wanted = {key: params[key] for key in ("state", "backends", "protected_roles", "protected_applications", "wait_s")}
    # In a process of its own, because it may become another user for the time of the connection.
    work = {"end": lambda: backends.end(found, check=module.check_mode, **wanted)}
    part = parts.gather(work, time.monotonic() + params["wait_s"] + 20)["end"]
    if not part["ok"]:
        module.fail_json(msg=part["error"]["text"])
    module.exit_json(**part["data"])


if __name__ == "__main__":
    main()
