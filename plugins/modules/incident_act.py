#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_act
short_description: Run one acting module on one host, under the gate of this run
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Runs one of the collection's acting modules on the host, with a deadline, when this run's gate issued O(token) and its plan names the host.
  - Of the modules only what belongs to the action of the step that the guards cleared on the host runs, in that action's state.
  - What it came to is kept in the state of the run, where M(virtengine.incident.incident_check) looks for it.
  - A host that cannot be reached or does not answer in time is an answer with RV(ok=false), so that the record can still be written.
options:
  token:
    description: What M(virtengine.incident.incident_gate) issued.
    type: str
    required: true
  module:
    description:
      - The acting module, with its collection unless it is of this one.
      - It has to belong to the action that the guards cleared; C(incident_lock) belongs to every run that the gate lets act.
    type: str
    required: true
  args:
    description: The arguments of the module.
    type: dict
    default: {}
  deadline:
    description: The time after which the host counts as late, in seconds.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    details:
      - The module it runs decides; the gate issues no token in check mode.
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.run
"""

EXAMPLES = r"""
- name: Start the node
  virtengine.incident.incident_act:
    run_dir: "{{ incident_run.run_dir }}"
    token: "{{ gate.token }}"
    module: node_service
    args:
      unit: virtengine.service
      state: started
"""

RETURN = r"""
ok:
  description: Whether the module ran and did not fail.
  returned: when the gate allowed the step
  type: bool
  sample: true
error:
  description: What went wrong, as a kind and a text, or null.
  returned: when the gate allowed the step
  type: dict
  sample: {kind: late, text: no answer within 60 s}
answer:
  description: What the module returned.
  returned: when the gate allowed the step
  type: dict
  sample: {changed: true}
started_at:
  description: When the step began, by the controller's clock.
  returned: when the gate allowed the step
  type: str
  sample: "2026-11-24T19:00:00.000000Z"
finished_at:
  description: When the step ended, by the controller's clock.
  returned: when the gate allowed the step
  type: str
  sample: "2026-11-24T19:00:02.100000Z"
"""
