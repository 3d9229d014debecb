#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module node_evidence."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_evidence
short_description: Read everything about a node that matters in an incident
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - Looks at the unit, the process, the program, the configuration, the genesis, the signer, the disk, the upgrade that
    waits, the write-ahead log, old log files, the journal, the RPC and the persistent peers of the node on one host, and
    at the locks of the host, in one call. Changes nothing.
  - Whatever cannot be read is a part of the answer with the reason, never a failure of the task. The task fails only on
    wrong options, or where the host cannot be reached; M(virtengine.incident.incident_observe) turns that into an
    observation, too.
  - Finds the home, the RPC address, the program and the settings from the unit, its running process and the
    configuration files, in the order in which the node itself reads them (flag, C(VE_*) variable, file, default). The
    settings are those that a start of the unit would take now.
  - Where a running node is not connected to one of its C(persistent_peers), the host opens a TCP connection to that
    peer's address, for a second at most, and closes it. Names are not resolved and no other address is dialled.
  - Of the key file only the C(address) field is taken, of the signing state only height, round and step. Environment
    and command lines are read by a fixed list of names. No key, password, token or signature leaves the host.
options:
  rpc_url:
    description:
      - URL of the node's RPC as seen from the host, for example V(http://127.0.0.1:26657). Found when not set.
    type: str
  binary:
    description:
      - Path of the node's program. Found from the unit when not set.
    type: path
  journal_since_s:
    description:
      - How many seconds of the journal to read, at least. The last invocation of the unit is read from its start.
    type: int
    default: 3600
  delay:
    description:
      - Seconds to wait on the host before looking, so that two looks lie a known time apart.
    type: int
    default: 0
  deadline:
    description:
      - Seconds after which the answer must be there, the O(delay) included. What is not finished by then is reported as
        late. From the controller, the host has five seconds more to log in and to start.
    type: int
    default: 20
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.reads_only
  - virtengine.incident.unit
  - virtengine.incident.unit.home
notes:
  - Without root, every part that this user may not read has the kind C(privilege). The RPC is asked all the same; where
    the configuration that names its address may not be read, at V(http://127.0.0.1:26657). Whether to use C(become) is
    the user's choice.
  - Hosts need Python 3.9 or newer, systemd and nothing else.
seealso:
  - module: virtengine.incident.cometbft_info
"""

EXAMPLES = r"""
- name: Look at every node, whatever state its host is in
  virtengine.incident.node_evidence:
  register: evidence

- name: Look at a node with another unit and home, twice, six seconds apart
  virtengine.incident.node_evidence:
    unit: virtengined.service
    home: /srv/virtengine
    delay: "{{ item }}"
  loop: [0, 6]
  register: evidence
"""

RETURN = r"""
evidence:
  description:
    - The evidence. C(clock), C(access) and C(paths) are always there. Every other entry, and every entry of C(rpc),
      holds C(ok) with C(data), or with C(error) of C(kind) and C(text). A null means "cannot tell".
    - Beside those of the sample, which is shortened, these are C(binary), C(config), C(genesis), C(disk), C(upgrade), C(wal),
      C(old_logs), C(p2p), C(responder_locks) and C(rpc), which is RV(virtengine.incident.cometbft_info#module:rpc). All
      fields of all parts are in the page C(docs/contracts.md) of the collection.
  returned: success
  type: dict
  sample:
    schema: 1
    clock:
      boot_at: "2026-11-24T19:45:36.581550Z"
      boot_id: "d8e2fa7c-18b4-40a9-b7e6-0ff355dd9c54"
      now: "2026-11-24T21:00:23.227819Z"
    access:
      privileged: true
      uid: 0
    unit:
      data:
        active_state: "active"
        control_group: "/system.slice/virtengine.service"
        exit_kind: null
        exit_status: null
        freezer_state: "running"
        invocation_id: "77ef7b4900564406a14ead1bc2113825"
        load_state: "loaded"
        main_pid: 1184
        name: "virtengine.service"
        restart: "on-failure"
        restart_delay_s: 3.0
        restarts: 0
        result: "success"
        started_at: "2026-11-24T20:32:56.161856Z"
        stopped_at: null
        sub_state: "running"
        unit_file_state: "enabled"
      ok: true
    process:
      data:
        main:
          exe: "/usr/bin/virtengine"
          exe_deleted: false
          frozen: false
          in_unit: true
          pid: 1184
          started_at: "2026-11-24T20:32:56.151551Z"
          state: "S"
        others: []
      ok: true
    paths:
      home: "/var/lib/virtengine/.virtengine"
      home_source: "unit_flag"
      rpc: "http://127.0.0.1:26657"
      rpc_source: "config"
    signer:
      data:
        address: "6CE29BE908257CCE01DEEE3F9EA0B675D26BD4A4"
        key_file: true
        remote: false
        state:
          height: 1507
          round: 0
          step: 3
        state_error: null
      ok: true
    journal:
      data:
        last_line_at: "2026-11-24T21:00:22.871216Z"
        lines_read: 26689
        marks:
          - count: 1
            current: false
            first_at: "2026-11-24T20:32:55.782095Z"
            kind: exited
            last_at: "2026-11-24T20:32:55.782095Z"
            text: "virtengine.service: Main process exited, code=exited, status=2/INVALIDARGUMENT"
        since: "2026-11-24T20:00:23.227819Z"
        truncated: false
      ok: true
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._node import collect


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "virtengine.service"},
            "home": {"type": "path"},
            "rpc_url": {"type": "str"},
            "binary": {"type": "path"},
            "journal_since_s": {"type": "int", "default": 3600},
            "delay": {"type": "int", "default": 0},
            "deadline": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    params = module.params
    begun = time.monotonic()
    try:
        unit = systemd.unit_name(params["unit"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    if params["delay"] < 0 or params["journal_since_s"] < 0:
        module.fail_json(msg="delay and journal_since_s must not be negative")
    if not 3 <= params["deadline"] - params["delay"] <= 3600:
        module.fail_json(msg="deadline must leave at least 3 seconds after delay, and at most an hour")
    time.sleep(params["delay"])
    evidence = collect.collect(
        collect.Options(
            unit=unit,
            home=params["home"],
            rpc_url=params["rpc_url"],
            binary=params["binary"],
            journal_since_s=params["journal_since_s"],
            deadline=params["deadline"] - (time.monotonic() - begun),
        )
    )
    module.exit_json(changed=False, evidence=evidence)


if __name__ == "__main__":
    main()
