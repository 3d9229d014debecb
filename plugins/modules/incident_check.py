#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_check
short_description: Check the lock, the guards of a step, its outcome, or the recovery
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - The checks between the steps of an acting run. Each failure ends the run before anything else is done.
  - With O(phase=before) the guards are evaluated again on an observation of all hosts that is seconds old.
options:
  phase:
    description:
      - V(lock_first) sees that the lock is ours on the host that decides between runs.
      - V(lock) sees that the lock is ours on every host that answers.
      - V(before) evaluates the guards of O(step).
      - V(after) sees what O(step) did.
      - V(recovered) sees whether the incident is over.
      - V(put_back) clears what the plan says is put back at the end.
    type: str
    required: true
    choices: [lock_first, lock, before, after, recovered, put_back]
  step:
    description: The step of the plan, for V(before), V(after) and V(put_back).
    type: dict
attributes:
  check_mode:
    support: full
    details:
      - It is never reached in check mode, where the gate lets nothing act.
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.run
"""

EXAMPLES = r"""
- name: Guards of the step
  virtengine.incident.incident_check:
    run_dir: "{{ incident_run.run_dir }}"
    phase: before
    step: "{{ incident_step }}"
  register: guard
"""

RETURN = r"""
needed:
  description: Whether the step is still needed.
  returned: with O(phase=before)
  type: bool
  sample: true
wait:
  description: Whether another look may change the answer, and is still to be taken.
  returned: with O(phase=before) and O(phase=recovered)
  type: bool
  sample: false
give:
  description: Values for the step's tasks that only this look knows.
  returned: with O(phase=before)
  type: dict
  sample: {}
recovered:
  description: Whether the incident is over.
  returned: with O(phase=recovered)
  type: bool
  sample: true
because:
  description: What shows it, or what still stands in the way.
  returned: with O(phase=recovered)
  type: str
  sample: All that was acted on serves again.
next_look:
  description: The number of the look that would follow.
  returned: with O(phase=before) and O(phase=recovered)
  type: int
  sample: 6
"""
