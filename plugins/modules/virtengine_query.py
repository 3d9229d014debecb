#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module virtengine_query."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtengine_query
short_description: Run a read-only command of the virtengine program
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Runs one of a fixed list of commands that only read, without a shell, and returns its answer as data.
  - The program writes configuration files into its home whatever it is asked. Questions to a node are therefore asked
    with a home of their own that is removed afterwards.
  - The exit codes of the program are not believed. Help instead of an answer is RV(error.kind=unknown_command), and
    C(no proposals found) is an empty answer.
  - A node that does not answer is an answer of the module and not a failed task. The task fails only on wrong options.
options:
  command:
    description:
      - The command and its arguments, one word an item.
      - Allowed are V(status), V(query), V(version), V(comet version), V(comet show-node-id), V(comet show-address) and
        V(comet show-validator). Only V(query) takes more words.
      - Short flags, C(--home), C(--node), C(--output) and the flags of logs, gRPC and keyrings are refused.
    type: list
    elements: str
    required: true
  node:
    description:
      - Address of the RPC of the node that V(status) and V(query) ask.
    type: str
    default: tcp://127.0.0.1:26657
  home:
    description:
      - Home of the node. Needed for V(comet show-node-id), V(comet show-address) and V(comet show-validator), and
        refused for all other commands. It must hold C(config/config.toml).
    type: path
  executable:
    description:
      - Name or path of the program. A name is looked up in the usual directories of the system.
    type: str
    default: virtengine
  timeout:
    description:
      - Seconds after which the program is ended.
    type: float
    default: 30
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.reads_only
  - virtengine.incident.attributes.action_group
notes:
  - The program writes 64-bit integers as text. These fields are returned as integers, C(block_height), C(dseq),
    C(earliest_block_height), C(height), C(index_offset), C(latest_block_height), C(missed_blocks_counter),
    C(proposer_priority), C(start_height), C(unbonding_height) and C(voting_power). All other values, among them amounts
    of tokens, which can be larger than 64 bits, are as the program wrote them.
  - V(comet show-address) and V(comet show-validator) make the program read the key file of the node. Only the address
    or the public key is printed by it and seen by the module.
seealso:
  - module: virtengine.incident.cometbft_info
"""

EXAMPLES = r"""
- name: Who has missed blocks
  virtengine.incident.virtengine_query:
    command: [query, slashing, signing-infos]
  register: signing

- name: Show those who missed more than ten
  ansible.builtin.debug:
    msg: "{{ signing.result.info | selectattr('missed_blocks_counter', 'gt', 10) | list }}"
  when: signing.ok

- name: Ask another node for the validators, a thousand at most
  virtengine.incident.virtengine_query:
    command: [query, staking, validators, --limit, "1000"]
    node: tcp://10.0.0.5:26657

- name: The node id of this host
  virtengine.incident.virtengine_query:
    command: [comet, show-node-id]
    home: /var/lib/virtengine
"""

RETURN = r"""
ok:
  description: Whether the program answered.
  returned: success
  type: bool
  sample: true
result:
  description:
    - What it answered, a mapping or list, or a text for V(comet show-node-id) and V(comet show-address).
    - An empty mapping where the program says that it found nothing. Null when RV(ok) is false.
  returned: success
  type: raw
  sample:
    info:
    - address: vevalcons17mvsyhh6uvfzvcuxvxuu6gut8g0dqpxwx68ptt
      index_offset: 305
      jailed_until: '1970-01-01T00:00:00Z'
      missed_blocks_counter: 0
      start_height: 0
      tombstoned: false
    pagination:
      next_key: null
      total: '0'
error:
  description: Why there is no answer. Null when RV(ok) is true.
  returned: success
  type: dict
  contains:
    kind:
      description:
        - One of V(absent), V(unknown_command), V(refused), V(unreachable), V(late), V(rpc), V(malformed), V(too_large)
          and V(failed).
      type: str
      sample: unknown_command
    text:
      description: The same for people, in one line.
      type: str
      sample: "the program does not know the command query nothing (Error: unknown flag: --node)"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, failed
from ansible_collections.virtengine.incident.plugins.module_utils._node import cli


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "list", "elements": "str", "required": True},
            "node": {"type": "str", "default": "tcp://127.0.0.1:26657"},
            "home": {"type": "path"},
            "executable": {"type": "str", "default": "virtengine"},
            "timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    options = module.params
    if not 0 < options["timeout"] <= 600:
        module.fail_json(msg="timeout must be more than 0 and at most 600 seconds")
    try:
        cli.check(options["command"], options["home"])
        node = cli.node_flag(options["node"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    try:
        result = cli.ask(options["executable"], options["command"], node, options["home"], options["timeout"])
    except PartError as problem:
        module.exit_json(changed=False, result=None, **failed(problem.kind, problem.text))
    module.exit_json(changed=False, ok=True, result=result, error=None)


if __name__ == "__main__":
    main()
