#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_gate
short_description: Plan, and let the run act only with the digest of that plan
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Makes the plan from the confirmed verdict and compares its digest with the one that was given back.
  - If anything changed since, the digest no longer matches and the run refuses, showing the difference. A digest is used once.
  - Opens the record, with evidence and verdict in it, before anything can act.
  - A killed run goes on under it when what remains is the end of the recorded plan.
  - Issues the token without which M(virtengine.incident.incident_act) does nothing.
options:
  approve:
    description: The digest of the plan that may be carried out, as a text such as V(chain_halt-0f3c9a1b2c3d4e5f).
    type: raw
  break_glass_reason:
    description: Why steps may be taken that the guards leave to an operator. It is written into the record.
    type: str
attributes:
  check_mode:
    support: full
    details:
      - In check mode the plan is made and the token is never issued.
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.run
"""

EXAMPLES = r"""
- name: Make the plan and ask the gate
  virtengine.incident.incident_gate:
    run_dir: "{{ incident_run.run_dir }}"
    approve: "{{ incident_approve | default(omit) }}"
  register: gate
"""

RETURN = r"""
act:
  description: Whether the plan may be carried out.
  returned: success
  type: bool
  sample: false
resumed:
  description: Whether this run goes on with the plan of a killed one.
  returned: success
  type: bool
  sample: false
digest:
  description: The digest of the plan.
  returned: success
  type: str
  sample: chain_halt-0f3c9a1b2c3d4e5f
steps:
  description: The approved steps, in order. Empty without an approval.
  returned: success
  type: list
  elements: dict
  sample: []
put_back:
  description: What is put back at the end of the run, whatever becomes of the steps.
  returned: success
  type: list
  elements: dict
  sample: []
scopes:
  description: What the run locks.
  returned: success
  type: list
  elements: str
  sample: ["chain:virtengine-1"]
basis:
  description: What the plan was made for. If it changes, the digest no longer matches.
  returned: success
  type: dict
  sample: {height: 4711, last_block_hash: 8B010233}
record_path:
  description: The directory of the record, null where none is kept.
  returned: success
  type: str
  sample: /srv/site/incidents/chain_halt-chain_virtengine-1-20261130T171400Z
lock_first:
  description: The host on which the lock is taken first, so that one of two runs wins.
  returned: when RV(act) is true
  type: str
  sample: vh1
token:
  description: What the acting steps of this run must show.
  returned: when RV(act) is true
  type: str
  sample: 0123456789abcdef0123456789abcdef
"""
