#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_assess
short_description: Add a look to the evidence of a run and assess it
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Adds what M(virtengine.incident.incident_observe) kept in this look to the run's evidence and assesses all of it.
  - After the first look it prints a first answer. RV(more) says whether the incident needs another look.
attributes:
  check_mode:
    support: full
    details:
      - In check mode no record is written.
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.run
"""

EXAMPLES = r"""
- name: Say what this look means
  virtengine.incident.incident_assess:
    run_dir: "{{ incident_run.run_dir }}"
  register: assessed
"""

RETURN = r"""
status:
  description: V(healthy), V(degraded), V(incident) or V(unknown).
  returned: success
  type: str
  sample: incident
confirmed:
  description: Whether two looks agree.
  returned: success
  type: bool
  sample: true
summary:
  description: The verdict in one paragraph.
  returned: success
  type: str
  sample: Two of three web servers do not answer, in two looks.
subject:
  description: What the verdict is about.
  returned: success
  type: str
  sample: chain virtengine-1
more:
  description: Whether another look is needed before a plan can be made.
  returned: success
  type: bool
  sample: true
next_look:
  description: The number of the look that comes next.
  returned: success
  type: int
  sample: 2
"""
