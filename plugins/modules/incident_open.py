#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_open
short_description: Open the run of an incident playbook
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - First step of every incident. Decides whether this run may go on, and over which hosts.
  - Refuses C(--limit), C(--tags), C(--skip-tags) and C(--start-at-task), which would cut evidence or the gate out of the run.
  - Refuses an empty target, a misspelt C(incident_*) variable, and evidence of the past together with an approval.
  - What a person states about a halt height goes into the evidence, so that a plan made from the evidence is the same later.
options:
  incident:
    description: The incident's name, such as V(chain_halt).
    type: str
    required: true
  target:
    description: The host pattern that was given, for messages.
    type: str
    required: true
  hosts:
    description: The hosts of that pattern. Only these may be acted on.
    type: list
    elements: str
    required: true
  observed:
    description: The hosts that are observed. The more are observed, the truer the verdict.
    type: list
    elements: str
    required: true
  record_dir:
    description:
      - The directory under which each incident has a directory with its record. By default C(incidents) in the working directory of
        C(ansible-playbook).
    type: path
  evidence:
    description: A saved evidence bundle. With it no host is asked and nothing can be acted on.
    type: path
  approve:
    description: The digest given back with C(incident_approve), only to refuse it together with O(evidence).
    type: raw
  halt_is_over:
    description: The halt height of which a person says with C(incident_halt_is_over) that its halt is over. Only together with O(halt_is_over_reason).
    type: raw
  halt_is_over_reason:
    description: Who called that halt over, in a few words. It is written into the record.
    type: raw
  endpoints:
    description:
      - RPC endpoints, for a run that asks these only and logs into no host. Then O(hosts) and O(observed) are not used, and nothing can be
        approved.
    type: list
    elements: str
  chain_id:
    description:
      - The chain that is meant, as its genesis file has it. Hosts and endpoints of another chain are set aside, however many they are.
      - By default it is the one that most hosts that answer name.
    type: str
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written on any host in either mode.
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    support: full
    description: Runs on the controller as an action plugin.
extends_documentation_fragment:
  - virtengine.incident.attributes
"""

EXAMPLES = r"""
- name: May this run go on, and over which hosts
  virtengine.incident.incident_open:
    incident: chain_halt
    target: validators
    hosts: "{{ groups['validators'] }}"
    observed: "{{ groups['validators'] }}"
    record_dir: incidents
  register: incident_run
"""

RETURN = r"""
run:
  description: The name of this run. It owns the lock and is in each line of the record.
  returned: success
  type: str
  sample: run-5f0c2b9a
run_dir:
  description: The private directory through which the steps of this run hand their data on.
  returned: success
  type: str
  sample: /tmp/virtengine-incident-x2k1q9ab
replay:
  description: Whether saved evidence is assessed and no host is asked.
  returned: success
  type: bool
  sample: false
rpc_only:
  description: Whether only RPC endpoints are asked and no host is.
  returned: success
  type: bool
  sample: false
play_hosts:
  description: The hosts of the play that follows.
  returned: success
  type: list
  elements: str
  sample: [vh1, vh2, vh3, vh4, vs1]
who:
  description: The user and the machine that started the run.
  returned: success
  type: str
  sample: sre@laptop
"""
