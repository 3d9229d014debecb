#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module double_sign_override."""

from __future__ import annotations

DOCUMENTATION = r"""
module: double_sign_override
short_description: Switch the double-sign check at start off for a while
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - With C(double_sign_check_height) above 0, a validator refuses to start while its own signature is in one of the last
    blocks. On a halted chain no new block comes, so it can never start again. This module sets the height to 0 for the
    starts of the unit, by a drop-in under C(/run) that a reboot takes away, and takes it back.
  - Sets the variable only. It starts nothing, and a running node keeps what it was started with.
  - Do this only on the host that last ran the key, with the same data. The check is what stops a key that was copied
    to a second host.
options:
  state:
    description:
      - Whether the override is there.
      - V(present) is refused where it would have no effect, because the unit sets the flag
        C(--consensus.double_sign_check_height), calls a script, or reads the variable from a file.
    type: str
    choices: [present, absent]
    required: true
attributes:
  diff_mode:
    support: full
extends_documentation_fragment:
  - virtengine.incident.attributes.acts
  - virtengine.incident.attributes
  - virtengine.incident.unit
seealso:
  - module: virtengine.incident.node_service
"""

EXAMPLES = r"""
- name: Let the validator start on the halted chain
  virtengine.incident.double_sign_override:
    state: present

- name: Start it
  virtengine.incident.node_service:
    state: started

- name: Take the override back
  virtengine.incident.double_sign_override:
    state: absent
"""

RETURN = r"""
file:
  description: The drop-in.
  returned: success
  type: str
  sample: /run/systemd/system/virtengine.service.d/90-virtengine-incident.conf
before:
  description: Content of the drop-in before. Empty when there was none.
  returned: success
  type: str
  sample: ""
after:
  description: Content of the drop-in after. Empty when there is none.
  returned: success
  type: str
  sample: |
    [Service]
    Environment=VE_CONSENSUS_DOUBLE_SIGN_CHECK_HEIGHT=0
actions:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - write /run/systemd/system/virtengine.service.d/90-virtengine-incident.conf
    - systemctl daemon-reload
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._node import dropin


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "virtengine.service"},
            "state": {"type": "str", "choices": ["present", "absent"], "required": True},
        },
        supports_check_mode=True,
    )
    try:
        drop_in = dropin.DropIn(systemd.unit_name(module.params["unit"]))
        result = dropin.ensure(drop_in, module.params["state"] == "present", module.check_mode)
    except (dropin.Refused, PartError, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    if module._diff:
        result["diff"] = {
            "before_header": drop_in.path,
            "after_header": drop_in.path,
            "before": result["before"],
            "after": result["after"],
        }
    module.exit_json(file=drop_in.path, **result)


if __name__ == "__main__":
    main()
