#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cometbft_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cometbft_info
short_description: Read what the RPC of a CometBFT node shows
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Asks the RPC of one node for its status, the height and hash of its application, the consensus state with its votes,
    its peers, all validators, the newest commits, the newest headers, the mempool and who is jailed, all at once.
  - Every part of the answer succeeds or fails by itself. A node that is silent, late, or that answers nonsense gives
    parts that say so, and never a failed task. The caller decides what that means. Only wrong options fail the task.
  - An answer above 768 KiB is not built in memory. Of a consensus state above that, the height, round 0, the last three
    rounds and the peers are read from the stream, and C(truncated) is true. Other answers of that
    size are errors of kind V(too_large).
  - Vote signatures and public keys are dropped while reading. Text from the network comes back as one line of at most
    300 characters without control characters.
options:
  timeout:
    description:
      - Seconds for the whole module. What has not been answered by then is an error of kind V(late).
    type: float
    default: 10
  parts:
    description:
      - What to ask for. Everything when not set.
      - V(blocks) and V(commits) begin with a question for the status, which gives the newest height. V(jailed) asks for
        it, too, because a jailing ends at a time of the chain.
    type: list
    elements: str
    choices: [status, abci_info, consensus, net_info, validators, blocks, commits, mempool, jailed]
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.reads_only
  - virtengine.incident.attributes.action_group
  - virtengine.incident.rpc
notes:
  - The consensus state comes from C(/dump_consensus_state). When that fails, C(/consensus_state) and C(/validators) are
    asked instead. They show no last commit, no peers and nothing of the proposal.
  - Who is jailed is a question to the application, C(/abci_query) with the path
    C(/cosmos.slashing.v1beta1.Query/SigningInfos). It is answered from committed state, on a halted chain, too. An
    application without the slashing module of the Cosmos SDK answers with an error, which is then the error of the part.
  - Heights, rounds and voting power are integers. Times are as the node wrote them, RFC 3339 in UTC.
seealso:
  - module: virtengine.incident.cometbft_wait
  - module: virtengine.incident.node_evidence
"""

EXAMPLES = r"""
- name: Ask the node on this host for everything
  virtengine.incident.cometbft_info:
  register: node

- name: Say how old the newest block is
  ansible.builtin.debug:
    msg: "Block {{ node.rpc.status.data.height }} is of {{ node.rpc.status.data.block_time }}"
  when: node.rpc.status.ok

- name: Ask a public RPC from the controller for the consensus state only
  virtengine.incident.cometbft_info:
    url: https://rpc.example.org
    parts: [status, consensus]
    timeout: 20
  delegate_to: localhost
"""

RETURN = r"""
reachable:
  description: Whether the RPC gave a usable answer to at least one question.
  returned: always
  type: bool
  sample: true
rpc:
  description:
    - One entry for each part that was asked for. Each has C(ok), and with it either C(data) or C(error).
    - An error has a C(kind), one of V(refused), V(late), V(unreachable), V(malformed), V(too_large), V(http), V(rpc),
      V(absent), V(cannot_tell), V(failed), and a C(text) for people.
  returned: always
  type: dict
  contains:
    status:
      description:
        - What C(/status) says. C(catching_up) is false on a halted chain, too.
        - C(server_time) is the clock of what answered, in whole seconds, null where it does not tell.
      returned: when asked for
      type: dict
      sample:
        ok: true
        data:
          chain_id: rig-1
          node_id: fb298171698249523ccd998a41b5d622f7e8bec2
          moniker: node2
          version: 0.38.19
          height: 340
          block_hash: C36328B05897DAEA37DE65FCBA820F2D27374262E46957817DB324C0D5536D9D
          app_hash: 927C192E8E0850C7B0968DC66DB5122A0138A507A23296D711624AEA4EE8DB1C
          block_time: '2026-11-24T19:49:03.373285133Z'
          catching_up: false
          address: 0AAA349FFCAA0AE18BA2684C4654C4A300F38ACD
          power: 30
          earliest_height: 1
          server_time: '2026-11-24T19:50:21Z'
    abci_info:
      description: Height and hash that the application has committed. Only these show that two nodes disagree.
      returned: when asked for
      type: dict
      sample:
        ok: true
        data:
          height: 340
          app_hash: CFFC508611B12F41AE6D6498C47B40A20FC91E5B9A636F422C2A3AF690E81D64
          version: v0.1.0
          app_version: 0
    consensus:
      description:
        - Where consensus stands and who voted for what. A vote is its validator's index, the first 12 digits of the
          block hash or V(nil), and the time the signer wrote.
        - Votes that cannot be of the validator they are listed for are left out and counted in C(dropped_votes).
        - C(proposal) is whether a proposal for the present round was received, null where that is not told.
          C(block_parts) is how many parts of the proposed block are there, and of how many.
      returned: when asked for
      type: dict
      sample:
        ok: true
        data:
          height: 341
          round: 0
          step: 4
          start_time: '2026-11-24T19:49:05.466274622Z'
          commit_time: '2026-11-24T19:49:04.466274622Z'
          proposer: F6D9025EFAE31226638661B9CD238B3A1ED004CE
          proposal: false
          block_parts: null
          validators:
          - address: F6D9025EFAE31226638661B9CD238B3A1ED004CE
            power: 50
          - address: 0AAA349FFCAA0AE18BA2684C4654C4A300F38ACD
            power: 30
          - address: E234827A02D39FE51529731DE1C3DE7B6C4731D1
            power: 20
          rounds:
          - round: 0
            prevotes:
            - [1, nil, '2026-11-24T19:49:08.469791016Z']
            - [2, nil, '2026-11-24T19:49:08.458576282Z']
            precommits: []
          - round: 1
            prevotes: []
            precommits: []
          last_commit:
            height: 340
            round: 0
            votes:
            - [F6D9025EFAE31226638661B9CD238B3A1ED004CE, C36328B05897, '2026-11-24T19:49:04.433192403Z']
            - [0AAA349FFCAA0AE18BA2684C4654C4A300F38ACD, C36328B05897, '2026-11-24T19:49:04.430766955Z']
            - [E234827A02D39FE51529731DE1C3DE7B6C4731D1, C36328B05897, '2026-11-24T19:49:04.432912516Z']
          peers:
          - node_id: 0c594ce379d02a1d0b3d6b9133985ec403cf57c7
            remote: 127.0.0.1:59008
            height: 341
            round: 0
            step: 4
            prevotes: _xx
            precommits: ___
          dropped_votes: 0
          truncated: false
    net_info:
      description: The peers the node is connected to.
      returned: when asked for
      type: dict
      sample:
        ok: true
        data:
          peers:
          - node_id: 0c594ce379d02a1d0b3d6b9133985ec403cf57c7
            moniker: node3
            remote: 127.0.0.1
            outbound: false
            rpc_address: tcp://127.88.0.3:26657
          count: 1
    validators:
      description:
        - C(validators) are all validators at C(height), in the order of the chain and of the form of those of C(consensus).
          C(total) is their number.
      returned: when asked for
      type: dict
    blocks:
      description:
        - Median of the seconds between the newest 20 blocks, and their headers, the newest first.
        - A header is its height and its application hash, which is of the state after the block before.
      returned: when asked for
      type: dict
      sample:
        ok: true
        data:
          interval_s: 1.037
          from_height: 339
          to_height: 340
          headers:
          - [340, 927C192E8E0850C7B0968DC66DB5122A0138A507A23296D711624AEA4EE8DB1C]
          - [339, 74091532B045071945B867E86918D8268CA0DDABC86FDFA78409AF6A2241D099]
    commits:
      description:
        - The newest commits, at most five, the newest first. The newest is the one this node has seen itself.
        - C(absent) is null when the validator set at that height cannot be had.
      returned: when asked for
      type: dict
      sample:
        ok: true
        data:
          commits:
          - height: 340
            round: 0
            block_hash: C36328B05897DAEA37DE65FCBA820F2D27374262E46957817DB324C0D5536D9D
            time: '2026-11-24T19:49:03.373285133Z'
            signed:
            - [F6D9025EFAE31226638661B9CD238B3A1ED004CE, '2026-11-24T19:49:04.433192403Z']
            - [0AAA349FFCAA0AE18BA2684C4654C4A300F38ACD, '2026-11-24T19:49:04.430766955Z']
            - [E234827A02D39FE51529731DE1C3DE7B6C4731D1, '2026-11-24T19:49:04.432912516Z']
            nil: []
            absent: []
    mempool:
      description: C(txs) is the number of transactions that wait, and C(bytes) is how many bytes they have.
      returned: when asked for
      type: dict
    jailed:
      description:
        - Who is tombstoned, or jailed until a time after the newest block, by consensus address. C(total) is the number
          of all signing infos, null when it is not told. C(missed) is the number of blocks missed in the present window.
        - C(truncated) is true when the list may lack somebody, because there are more than 2000 signing infos, or because
          the chain does not keep the address of one that is jailed.
      returned: when asked for
      type: dict
      sample:
        ok: true
        data:
          total: 4
          jailed:
          - address: AE75BB99D88CBB38BE0B166005CF90FD2A5B1F95
            until: '2026-11-24T19:52:45.216029103Z'
            tombstoned: false
            missed: 0
          truncated: false
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
from ansible_collections.virtengine.incident.plugins.module_utils._host import http_one as _http


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:26657"},
            "timeout": {"type": "float", "default": 10},
            "parts": {"type": "list", "elements": "str", "choices": list(_cometbft.PARTS)},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    options = module.params
    if not 0 < options["timeout"] <= 600:
        module.fail_json(msg="timeout must be more than 0 and at most 600 seconds")
    if options["parts"] == []:
        module.fail_json(msg="parts is empty; leave it out to ask for everything")
    try:
        _http.target(options["url"], options["validate_certs"], options["ca_path"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    rpc = _cometbft.gather(
        options["url"],
        options["timeout"],
        parts=options["parts"],
        validate_certs=options["validate_certs"],
        ca_path=options["ca_path"],
    )
    module.exit_json(changed=False, reachable=any(part["ok"] for part in rpc.values()), rpc=rpc)


if __name__ == "__main__":
    main()
