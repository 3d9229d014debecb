#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_assess
short_description: Turn the observations of a look into a verdict
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Gathers what M(virtengine.incident.node_evidence) registered on every host, adds it to the run's evidence and assesses it.
  - After the first look it prints a first answer. With O(final=true) it keeps evidence and verdict in the record, before anything can act.
options:
  look:
    description: The number of the look, from 1.
    type: int
    required: true
  final:
    description: Whether this is the verdict that a plan may be built on.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    details:
      - In check mode no record is written.
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.run
"""

EXAMPLES = r"""
- name: Confirm the verdict and keep the evidence
  virtengine.incident.incident_assess:
    run_dir: "{{ incident_run.run_dir }}"
    look: 2
    final: true
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
  sample: The chain stands at block 61 since 42 s.
chain_id:
  description: The chain's id, or null where nobody could tell.
  returned: success
  type: str
  sample: virtengine-rig-1
"""
