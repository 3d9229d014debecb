#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module node_service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_service
short_description: Start or stop the unit of a node, or thaw a frozen node
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - Brings the node of one host back to running, or stops it. It never restarts anything.
  - Refuses to start a node that runs on the host already outside its unit, a masked or disabled unit, and a unit of
    which it cannot tell whether such a process runs. Whether a signer may be started, or a node may be stopped, is not
    decided here.
options:
  state:
    description:
      - With V(started), the unit is started when it is down, after C(systemctl reset-failed) where systemd gave up, and
        is watched until the same process has run for five seconds.
      - With V(thawed), the unit's processes that are stopped (state T) are sent C(SIGCONT), and a frozen control group
        is thawed. A unit without such processes is left alone, running or not.
      - With V(stopped), the unit is stopped by C(systemctl stop), also where systemd keeps restarting it, and is watched
        until none of its processes is left. Frozen processes are refused.
    type: str
    choices: [started, stopped, thawed]
    required: true
  wait:
    description:
      - Seconds within which the outcome must be seen. If it is not, the task fails and says what is seen instead.
    type: int
    default: 20
attributes:
  diff_mode:
    support: none
    description: RV(before) and RV(after) are always returned.
extends_documentation_fragment:
  - virtengine.incident.attributes.acts
  - virtengine.incident.attributes
  - virtengine.incident.unit
seealso:
  - module: virtengine.incident.node_evidence
  - module: virtengine.incident.double_sign_override
"""

EXAMPLES = r"""
- name: Start the node
  virtengine.incident.node_service:
    state: started

- name: Thaw a frozen node
  virtengine.incident.node_service:
    state: thawed
    wait: 10

- name: Stop the node, and see that it is gone
  virtengine.incident.node_service:
    state: stopped
    wait: 100
"""

RETURN = r"""
before:
  description:
    - The unit and its processes as they were found, in the form of RV(after). C(before.process) is the node's process; C(before.frozen_pids)
      are the processes of the unit that are stopped or held by the freezer.
  returned: success
  type: dict
after:
  description:
    - The same after the change. In check mode, what the change would bring.
  returned: success
  type: dict
  sample:
    active_state: active
    exit_kind: null
    exit_status: null
    frozen_pids: []
    load_state: loaded
    main_pid: 1612
    process:
      exe: /usr/bin/virtengine
      exe_deleted: false
      frozen: false
      in_unit: true
      pid: 1612
      started_at: "2026-11-24T21:00:28.441542Z"
      state: S
    restarts: 0
    result: success
    started_at: "2026-11-24T21:00:28.469949Z"
    sub_state: running
    unit_file_state: enabled
actions:
  description:
    - What was done, or in check mode would be done, in order.
  returned: always
  type: list
  elements: str
  sample: [systemctl start virtengine.service]
running:
  description:
    - Whether the unit is active with a process that is not frozen. In check mode, whether it would be.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import service


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "virtengine.service"},
            "state": {"type": "str", "choices": ["started", "stopped", "thawed"], "required": True},
            "wait": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not 1 <= params["wait"] <= 3600:
        module.fail_json(msg="wait must be 1 to 3600 seconds")
    act = {"started": service.start, "stopped": service.stop, "thawed": service.thaw}[params["state"]]
    try:
        outcome = act(systemd.unit_name(params["unit"]), params["wait"], module.check_mode)
    except Refused as refused:
        module.fail_json(msg=str(refused), changed=bool(refused.actions), actions=refused.actions)
    except (PartError, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    running = outcome.after["active_state"] == "active" and not outcome.after["frozen_pids"]
    module.exit_json(
        changed=bool(outcome.actions),
        before=outcome.before,
        after=outcome.after,
        actions=outcome.actions,
        running=running,
    )


if __name__ == "__main__":
    main()
