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
  - Reads the variables of the run and of the incident itself, and refuses a misspelt C(incident_*) variable or a wrong value.
  - Refuses C(--limit), C(--tags), C(--skip-tags) and C(--start-at-task), which would cut evidence or the gate out of the run.
  - Refuses an empty target, and evidence of the past together with an approval.
options:
  incident:
    description: The name of the incident or fleet action, such as V(chain_halt).
    type: str
    required: true
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
observed:
  description: The hosts that are asked. Empty for saved evidence, and for an incident that asks no host.
  returned: success
  type: list
  elements: str
  sample: [vh1, vh2, vh3, vh4, vs1]
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
