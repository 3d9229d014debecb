#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module old_logs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: old_logs
short_description: Compress old log files on a full disk, losing nothing
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - A node whose disk is full stops, and starts no more before there is room. This module makes room for it without
    losing a byte. Old log files on the file system of the node's data are compressed in place, the smallest first, until
    O(enough_bytes) are free. RV(undo) restores every one of them with its name, its time and each of its bytes.
  - Old logs are files below C(/var/log) and in C(log) and C(logs) of the node's home whose names say that they were
    rotated and are not compressed, such as C(syslog.1), C(node.log.old), C(node-20261101.log) and C(node.2026-11-01.log).
    They have 64 KiB or more, are an hour old, have one name, and no process has them open.
  - The files of journald are left alone, because C(journalctl) does not read what is compressed.
  - Nothing below C(data) or C(config) of the home is touched, nor the write-ahead log, wherever it lies. No link is
    followed, and no other file system is entered.
  - Of a file C(NAME) a copy C(NAME.incident-RUN.gz) is made beside it, with the same owner, mode and time. It is read
    back and compared, and is on the disk before the file goes. A run that is killed leaves the file or its whole copy,
    and the next run finishes. A file that changes meanwhile, or of which a copy is not smaller by a tenth, stays.
  - Where the copy of a log does not fit on its disk, it is made in C(/var/tmp/virtengine-incident-old-logs), which only
    root may enter. That must lie on another file system, not in memory, with room for it and for 64 MiB. Once it is
    whole and on that disk, the file goes, and the copy takes its place beside where the file was. After a kill
    C(KEY.gz) may lie there, with owner and time of the file, and C(KEY.json), which says its folder, its name and the
    SHA-256 of what it held. The next run with any name puts the copy in its place, or takes it away where the file is
    still there. A copy that cannot go to its place stays, with a warning. With one that has no sound note, or whose
    place is none of an old log, nothing is done.
  - Fails, with all that it returns, where nothing was compressed and O(enough_bytes) are not free. Where anything was
    compressed it succeeds, and RV(enough) tells the rest. It does not fail for this in check mode.
  - Fails, with all that it returns, where anything was compressed and then something cannot be read. What was done stays
    done, and the next run goes on.
  - Refuses where the unit is not down, or any process of the node runs on the host, and where it cannot be seen which files
    are open.
options:
  run:
    description:
      - Name of the run, for the names of the copies. At most 17 characters, because C(gzip) takes no longer suffix.
    type: str
    required: true
  enough_bytes:
    description:
      - How many bytes must be free for a user without privilege. With so many free, nothing more is compressed. The
        default is five times what C(chain_halt) asks for before it starts a node.
    type: int
    default: 500000000
  deadline:
    description:
      - Seconds after which no more is compressed, at most 3600. What was not reached stays as it is. A fast disk and
        processor compress some 50 MB a second.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: Makes the same refusals and names all files that may be compressed. How small they get is not known.
  diff_mode:
    support: none
    description: RV(actions) says what is compressed.
  idempotent:
    support: full
    details:
      - Where enough is free, nothing is done, but for what a killed run left to finish.
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.unit
  - virtengine.incident.unit.home
notes:
  - Needs root on the host.
  - Rotation of logs does not know the copies. Once the disk has room, a person unpacks them or takes them away.
seealso:
  - module: virtengine.incident.node_evidence
  - module: virtengine.incident.node_service
"""

EXAMPLES = r"""
- name: Make a gigabyte free for the node
  virtengine.incident.old_logs:
    run: run-5f0c2b9a
    enough_bytes: 1073741824
"""

RETURN = r"""
folder:
  description: The folder on whose file system the room is made.
  returned: success, and where nothing was compressed or the work ended early
  type: str
  sample: /var/lib/virtengine/.virtengine/data
free_bytes_before:
  description: What a user without privilege could write there before.
  returned: success, and where nothing was compressed or the work ended early
  type: int
  sample: 0
free_bytes_after:
  description:
    - What such a user can write there now. Null in check mode, where something would be compressed, and where the work
      could not be ended.
  returned: success, and where nothing was compressed or the work ended early
  type: int
  sample: 377630720
enough:
  description: Whether O(enough_bytes) are free. Null where RV(free_bytes_after) is.
  returned: success, and where nothing was compressed or the work ended early
  type: bool
  sample: true
files:
  description: What was compressed, or in check mode may be, in order. C(compressed_bytes) is null in check mode.
  returned: success, and where nothing was compressed or the work ended early
  type: list
  elements: dict
  sample:
    - path: /var/log/virtengine/node-20261101.log
      bytes: 9437184
      compressed: /var/log/virtengine/node-20261101.log.incident-run-5f0c2b9a.gz
      compressed_bytes: 812346
left:
  description: The old logs that stay as they are, their bytes, and why, with the number of files for each reason.
  returned: success, and where nothing was compressed or the work ended early
  type: dict
  sample:
    files: 2
    bytes: 402653184
    because:
      - not smaller by a tenth when compressed (1)
      - the time is over (1)
staged:
  description: Copies in C(/var/tmp/virtengine-incident-old-logs) that could not go to their places, and why.
  returned: success, and where nothing was compressed or the work ended early
  type: list
  elements: str
  sample: []
undo:
  description: The command that restores all that was compressed. Null where nothing was.
  returned: success, and where nothing was compressed or the work ended early
  type: str
  sample: "find /var/log -name '*.incident-run-5f0c2b9a.gz' -exec gzip -d -S .incident-run-5f0c2b9a.gz {} +"
actions:
  description: What was done, or in check mode may be done.
  returned: success, and where nothing was compressed or the work ended early
  type: list
  elements: str
  sample:
    - compress /var/log/virtengine/node-20261101.log to node-20261101.log.incident-run-5f0c2b9a.gz
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, clean
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._node import service


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "virtengine.service"},
            "home": {"type": "path"},
            "run": {"type": "str", "required": True},
            "enough_bytes": {"type": "int", "default": 500_000_000},
            "deadline": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["enough_bytes"] < 1:
        module.fail_json(msg="enough_bytes must be 1 or more")
    if not 1 <= params["deadline"] <= 3600:
        module.fail_json(msg="deadline must be at least a second and at most an hour")
    limits = (params["enough_bytes"], params["deadline"])
    try:
        unit = systemd.unit_name(params["unit"])
        result = compress.compress(unit, params["home"], params["run"], *limits, module.check_mode)
    except compress.Unfinished as error:
        module.fail_json(msg=str(error), **error.result)
    except (_old_logs.Refused, service.Refused, PartError, ValueError, OSError) as error:
        module.fail_json(msg=clean(error))
    for text in result["staged"]:
        module.warn(text)
    failure = None if module.check_mode else compress.failure(result)
    if failure:
        module.fail_json(msg=failure, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
