#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module wal_copy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wal_copy
short_description: Put the copy of a node's lost write-ahead log back
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - A validator that lost its consensus WAL in a halt begins the height at round 0 again, while its signing state stands
    at a later round. It then signs nothing, and where enough validators do so the chain stands still for good. The old
    log remedies that.
  - Looks beside the log's folder for folders whose names begin like it, C(cs.wal.bak) for one. The only one whose last
    C(#ENDHEIGHT) is of O(height) is put in the log's place; the log that is there is kept as C(cs.wal.incident-DIGEST),
    with O(digest) for C(DIGEST). The undo is to rename both back.
  - Two renames. A run that is killed between them leaves the log's place empty, and the next run finishes. Where
    the second fails, the first is taken back.
  - Deletes and copies nothing. Refuses where the unit is not down, or any process of the node runs on the host; where
    no copy or more than one fits; where the copy belongs to another user than the log; and where the copy or the log is
    a link or mounted from elsewhere.
options:
  digest:
    description:
      - The digest of the approved plan, for the name under which the log that is there is kept.
    type: str
    required: true
  height:
    description:
      - The last block of the node. The copy must contain the end of this height, and of no later one.
    type: int
    required: true
attributes:
  diff_mode:
    support: none
    description: RV(actions) says what is renamed.
extends_documentation_fragment:
  - virtengine.incident.attributes.acts
  - virtengine.incident.attributes
  - virtengine.incident.unit
  - virtengine.incident.unit.home
seealso:
  - module: virtengine.incident.node_service
"""

EXAMPLES = r"""
- name: Put the lost log back
  virtengine.incident.wal_copy:
    digest: chain_halt-0123456789abcdef
    height: 286
"""

RETURN = r"""
path:
  description: The folder of the log.
  returned: success
  type: str
  sample: /var/lib/virtengine/.virtengine/data/cs.wal
copy:
  description: Name of the copy that was put back. Null where the log was in its place already.
  returned: success
  type: str
  sample: cs.wal.bak
aside:
  description: Name under which the log that was there is kept. Null where there was none.
  returned: success
  type: str
  sample: cs.wal.incident-chain_halt-0123456789abcdef
last_end_height:
  description: The last height whose end the log marks.
  returned: success
  type: int
  sample: 286
actions:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - rename cs.wal to cs.wal.incident-chain_halt-0123456789abcdef
    - rename cs.wal.bak to cs.wal
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import wal_copy


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "virtengine.service"},
            "home": {"type": "path"},
            "digest": {"type": "str", "required": True},
            "height": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["height"] < 1:
        module.fail_json(msg="height must be 1 or more")
    try:
        unit = systemd.unit_name(params["unit"])
        result = wal_copy.put_back(unit, params["home"], params["digest"], params["height"], module.check_mode)
    except (Refused, PartError, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
