#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chain_probe
short_description: Ask the RPC of up to thousands of nodes what their chain does
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Asks many RPC endpoints at once from the controller, for chains whose hosts nobody can log into. One deadline holds for
    all of it, however many endpoints are dead. A dead endpoint keeps no other one waiting.
  - Every endpoint is asked for its status and for what its application has committed. Of those that answer, 16 are asked
    for their consensus state and their peers, too. Half of these stand at the greatest heights and half at the height that most
    name, spread over the network. Of each side of a disagreement two are added, up to 24 in all.
  - The first four of them and those that disagree are asked for everything that M(virtengine.incident.cometbft_info) reads.
  - Of what one endpoint shows beyond its status, 512 KiB are kept, twice what an honest one with 200 validators needs. A part that has no
    room is an error of kind V(too_large).
  - Each endpoint gives an observation of the contract, whatever it answered. A chain id, height or hash that others
    contradict is kept as evidence. The task fails only on wrong options.
  - Once some have answered, an endpoint that has kept its status back for three seconds, or for a third of O(deadline) where
    that is less, is waited for only as long as others still answer.
  - Shows a line of progress every two seconds when it takes longer than three.
options:
  endpoints:
    description:
      - RPC addresses as the controller reaches them, C(http://host:port) or C(https://host:port), with a path when a proxy puts the RPC under
        one. At most 5000. They carry no user name, password, query or fragment.
      - Without one the task is skipped at once.
      - Proxies of the environment are never used.
    type: list
    elements: str
    default: []
  chain_id:
    description:
      - The chain that is meant. By default it is the one that most endpoints name.
      - Endpoints of another chain stay among the observations, and are left out of RV(disagreements) and of the choice whom to ask for more.
    type: str
  discover:
    description:
      - Whether to look for more endpoints among the peers of those that answer, breadth first, during the first half of O(deadline).
      - An endpoint may name any address as its peer. Only public addresses are dialled, and only by number. Loopback, link-local,
        private, multicast and reserved addresses are not, whatever form they have, nor are the controller's own, nor names, nor ports
        below 1024 other than 80 and 443.
    type: bool
    default: false
  discover_limit:
    description:
      - How many endpoints are discovered at most, from 1 to 2000.
    type: int
    default: 100
  deadline:
    description:
      - Seconds for all of it, from 1 to 300. What has not been answered by then is an error of kind V(late).
    type: float
    default: 10
  parallel:
    description:
      - How many names are looked up at the same time, and how many endpoints are asked for more than their status (there, never more than 16).
      - The first question goes to all endpoints at the same time and is not bounded by this.
    type: int
    default: 64
    aliases: [forks]
  validate_certs:
    description: Whether the certificate of an C(https) address must be valid for its host name.
    type: bool
    default: true
  ca_path:
    description: A file with the certificates of the authorities to trust instead of those of the system.
    type: path
  run_dir:
    description:
      - The state of a run, as M(virtengine.incident.incident_open) returned it. The observations are kept there, as those of the current
        look, after the pause that this look has to have from the one before.
    type: path
  show:
    description:
      - Whether to print RV(summary).
    type: bool
    default: false
attributes:
  action:
    description: Runs on the controller as an action plugin.
    support: full
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.reads_only
  - virtengine.incident.attributes.action_group
notes:
  - It runs once for all hosts of the play, and opens no connection to any of them.
  - A thousand endpoints take one second of one core and 80 MB. Each is an open file of the controller; a lower limit makes some wait for others.
seealso:
  - module: virtengine.incident.cometbft_info
"""

EXAMPLES = r"""
- name: Ask public endpoints of a chain
  virtengine.incident.chain_probe:
    endpoints:
      - https://rpc.example.org
      - https://rpc.example.com:443
      - http://192.0.2.7:26657
    chain_id: virtengine-1
  register: probe

- name: Show what they say on one screen
  ansible.builtin.debug:
    var: probe.summary

- name: Begin with one endpoint and find up to 500 others
  virtengine.incident.chain_probe:
    endpoints: [https://rpc.example.org]
    discover: true
    discover_limit: 500
    deadline: 30
  register: probe
"""

RETURN = r"""
observations:
  description:
    - One for each endpoint, those that were listed first. With O(run_dir) they are kept there and not returned. C(host) is its URL.
    - Where C(ok) is true, C(data) has parts of RV(virtengine.incident.cometbft_info#module:rpc); C(status) and C(abci_info) are always among them.
    - Where it is false, C(error) has a C(kind), one of V(refused), V(late), V(unreachable), V(malformed), V(too_large), V(http), V(rpc), V(absent), V(failed),
      and a C(text).
  returned: success
  type: list
  elements: dict
asked:
  description: How many endpoints were asked.
  returned: success
  type: int
  sample: 1000
answered:
  description: How many gave a status.
  returned: success
  type: int
  sample: 900
late:
  description: How many gave none in time.
  returned: success
  type: int
  sample: 50
refused:
  description: How many refused the connection.
  returned: success
  type: int
  sample: 50
other:
  description: How many gave no status for another reason.
  returned: success
  type: int
  sample: 0
chain_id:
  description: The chain that is judged, O(chain_id) or the one that most of them name, a node id counted once; null where none answered.
  returned: success
  type: str
  sample: rig-1
in_full:
  description: The endpoints that were asked for their consensus state, in that order; the first four were asked for everything.
  returned: success
  type: list
  elements: str
  sample: ['http://192.0.2.7:26657']
disagreements:
  description:
    - Heights for which endpoints of the chain name different block hashes (C(what) is V(block_hash)) or have committed different application states
      (V(app_hash)), the newest five of each kind.
    - For each of the six hashes that most name, how many do, and at most six of them. C(more) is how many hashes are left out.
  returned: success
  type: list
  elements: dict
  sample:
    - height: 286
      what: app_hash
      hashes:
        CFFC508611B12F41AE6D6498C47B40A20FC91E5B9A636F422C2A3AF690E81D64:
          count: 2
          urls: ['http://192.0.2.7:26657', 'http://192.0.2.9:26657']
        927C192E8E0850C7B0968DC66DB5122A0138A507A23296D711624AEA4EE8DB1C:
          count: 1
          urls: ['http://192.0.2.11:26657']
      more: 0
same_node:
  description:
    - Endpoints that give the same node id, the first 20 of these ids, with at most six endpoints of each. It is one node under two addresses, or one that
      copies the id of another. The observations of all of them are kept.
  returned: success
  type: list
  elements: dict
  sample:
    - node_id: fb298171698249523ccd998a41b5d622f7e8bec2
      count: 2
      urls: ['http://192.0.2.7:26657', 'http://198.51.100.4:26657']
discovered:
  description: The endpoints that were not listed, each with the one whose peer it is.
  returned: success
  type: list
  elements: dict
  sample:
    - url: http://198.51.100.4:26657
      from: https://rpc.example.org
skipped_addresses:
  description:
    - How many addresses of peers were not dialled, by reason.
    - V(loopback), V(private), V(link_local), V(multicast), V(reserved), V(unspecified), V(name) and V(own), an address of the controller's, never are.
    - V(no_rpc) is a peer that names no RPC, or one that listens on loopback. V(port) is one at a well-known port.
    - V(limit) is one beyond O(discover_limit), or a fifth at one IPv4 address or in one /64 of IPv6.
  returned: success
  type: dict
  sample:
    private: 12
    no_rpc: 31
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 3.444
at:
  description: When it ended, by the controller's clock; null where it was skipped.
  returned: success
  type: str
  sample: '2026-11-24T19:50:24.101213Z'
summary:
  description: All of it on one screen, at most 40 lines of at most 100 columns.
  returned: success
  type: list
  elements: str
  sample:
    - '1000 RPC endpoints of chain rig-1: 900 answered, 50 late, 50 refused.'
    - 'Heights       900 at 340, 0 up to 5 behind'
    - 'Voting power  the chain stands at 340; votes as 16 endpoints saw them'
    - '              [#################################.|................] 2670 of 4040 vote, 2694 needed'
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Entry point where the action plugin was passed by: on a host it cannot do its work."""
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "default": []},
            "chain_id": {"type": "str"},
            "discover": {"type": "bool", "default": False},
            "discover_limit": {"type": "int", "default": 100},
            "deadline": {"type": "float", "default": 10},
            "parallel": {"type": "int", "default": 64, "aliases": ["forks"]},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
            "run_dir": {"type": "path"},
            "show": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.fail_json(
        msg="chain_probe runs on the controller, as an action plugin. Call it as virtengine.incident.chain_probe in a playbook."
    )


if __name__ == "__main__":
    main()
