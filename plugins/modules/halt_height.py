#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module halt_height."""

from __future__ import annotations

DOCUMENTATION = r"""
module: halt_height
short_description: Take the halt height and the halt time out of a node's configuration
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - With C(halt-height) or C(halt-time) above 0, a node stores the block of that height and does not execute it. It goes
    on only after a start without the value. This module sets both to 0 in C(config/app.toml) of the node's home, for
    the next start.
  - A halt height is most often a coordinated halt that all operators agreed on. Whether it is over is not decided here.
  - Every other byte of the file is kept, and so are its owner, its mode and its extended attributes. The file is
    replaced by a rename, and the old one stays beside it as C(app.toml.incident-DIGEST), with O(digest) for C(DIGEST). The undo
    is to rename it back.
  - Refuses where the unit is not down, or any process of the node runs on the host; where a value comes from a flag or
    a variable of the unit; where the file is a link or of a form that cannot be read for certain; and where it does not
    name the expected values.
options:
  digest:
    description:
      - The digest of the approved plan, for the name of the file that is kept.
    type: str
    required: true
  expected:
    description:
      - The halt height that the configuration must name. 0 where it names a halt time only.
    type: int
    required: true
  expected_time:
    description:
      - The halt time that the configuration must name, in seconds since 1970. 0 where it names a halt height only.
    type: int
    default: 0
attributes:
  diff_mode:
    support: full
    description: Shows the changed lines only. The rest of the file may hold passwords.
extends_documentation_fragment:
  - virtengine.incident.attributes.acts
  - virtengine.incident.attributes
  - virtengine.incident.unit
  - virtengine.incident.unit.home
seealso:
  - module: virtengine.incident.node_service
"""

EXAMPLES = r"""
- name: Take the halt height out of the configuration
  virtengine.incident.halt_height:
    digest: chain_halt-0123456789abcdef
    expected: 221
"""

RETURN = r"""
file:
  description: The file of the configuration.
  returned: success
  type: str
  sample: /var/lib/virtengine/.virtengine/config/app.toml
backup:
  description: The file as it was. Null where nothing is changed.
  returned: success
  type: str
  sample: /var/lib/virtengine/.virtengine/config/app.toml.incident-chain_halt-0123456789abcdef
before:
  description: The values that a start would have taken.
  returned: success
  type: dict
  sample: {halt_height: 221, halt_time: 0}
after:
  description: The values that a start takes now, or in check mode would take.
  returned: success
  type: dict
  sample: {halt_height: 0, halt_time: 0}
actions:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - keep app.toml as app.toml.incident-chain_halt-0123456789abcdef
    - set halt-height to 0 in app.toml
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import halt_height


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "virtengine.service"},
            "home": {"type": "path"},
            "digest": {"type": "str", "required": True},
            "expected": {"type": "int", "required": True},
            "expected_time": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    params = module.params
    expected = {"halt_height": params["expected"], "halt_time": params["expected_time"]}
    try:
        unit = systemd.unit_name(params["unit"])
        result = halt_height.clear(unit, params["home"], params["digest"], expected, module.check_mode)
    except (Refused, PartError, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    lines = result.pop("lines")
    if module._diff:
        result["diff"] = {
            "before_header": result["file"],
            "after_header": result["file"],
            "before": "".join(f"{old}\n" for old, _new in lines),
            "after": "".join(f"{new}\n" for _old, new in lines),
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
