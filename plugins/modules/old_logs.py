#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module old_logs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: old_logs
short_description: Compress rotated log files on the disk of a node's data, losing nothing
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - A node whose disk is full starts again only once there is room. This module compresses rotated log files on the file
    system of the node's data where they lie, the smallest first, until 500 MB are free or two minutes are over.
  - Rotated logs are files below C(/var/log) and in C(log) and C(logs) of the node's home whose names say so, such as
    C(syslog.1), C(node.log.old) and C(node-20261101.log), of 64 KiB or more, an hour old, which no process has open. Links,
    hard links, sparse files, other file systems, and the folders of journald and of the node's data, configuration and
    write-ahead log are left alone.
  - The copy C(NAME.incident-DIGEST.gz) has the owner, mode and time of the log. The log goes once the copy was read back,
    compared, and is on the disk. After a kill, the next run with the same O(digest) finishes.
  - Refuses where the unit is not down, or any process of the node runs on the host, and where it cannot be seen which files
    are open. Fails where nothing was compressed and 500 MB are not free.
options:
  digest:
    description: The digest of the approved plan, for the names of the copies.
    type: str
    required: true
attributes:
  check_mode:
    description: Makes the same refusals and names all files that may be compressed. How small they get is not known.
  diff_mode:
    support: none
extends_documentation_fragment:
  - virtengine.incident.attributes.acts
  - virtengine.incident.attributes
  - virtengine.incident.unit
  - virtengine.incident.unit.home
notes:
  - "The undo: C(find /var/log HOME/log HOME/logs -name '*.incident-DIGEST.gz' -exec gzip -dN {} +). C(gzip -S) takes no
    suffix of that length, so the name is in the copy."
  - A copy needs free space beside its log, so a disk without any is not helped. Free a few MB by hand first.
"""

EXAMPLES = r"""
- name: Make room for the node
  virtengine.incident.old_logs:
    digest: chain_halt-0123456789abcdef
"""

RETURN = r"""
free_bytes:
  description: What a user without privilege can write there now.
  returned: success, and where nothing was compressed
  type: int
  sample: 377630720
actions:
  description: What was compressed, or in check mode may be, in order.
  returned: success, and where nothing was compressed
  type: list
  elements: str
  sample: [compress /var/log/node.log.1 to node.log.1.incident-chain_halt-0123456789abcdef.gz]
left:
  description: What was tried and stays as it is, and why.
  returned: success, and where nothing was compressed
  type: list
  elements: str
  sample: ["/var/log/app.log.2: not smaller by a tenth when compressed"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused, clean
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "virtengine.service"},
            "home": {"type": "path"},
            "digest": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    unit, home, digest = (module.params[name] for name in ("unit", "home", "digest"))
    try:
        result = compress.compress(systemd.unit_name(unit), home, digest, module.check_mode)
    except (Refused, PartError, ValueError, OSError) as error:
        module.fail_json(msg=clean(error))
    if not result["changed"] and result["free_bytes"] < compress.ENOUGH_BYTES:
        why = "; ".join(result["left"][:3]) or "there are no old logs"
        module.fail_json(msg=f"Nothing was compressed: {why}.", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
