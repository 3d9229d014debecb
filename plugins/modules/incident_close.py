#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_close
short_description: End the record of a run and print its one screen
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Last step of every incident, whatever happened before. Ends the record, writes the report and prints the result.
  - Returns what leaves the run through M(ansible.builtin.set_stats).
options:
  failures:
    description: Why the run stopped, where it did; an entry for each host, empty for one that did not fail itself.
    type: list
    elements: str
    default: []
  fail_on:
    description:
      - The verdict that makes the run fail, for schedules and CI.
      - V(degraded) includes V(incident); V(unknown) includes both.
    type: str
    choices: [never, incident, degraded, unknown]
    default: never
attributes:
  check_mode:
    support: full
    details:
      - In check mode the screen is printed and no record or report is written.
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.run
"""

EXAMPLES = r"""
- name: End the record and print the result
  virtengine.incident.incident_close:
    run_dir: "{{ incident_run.run_dir }}"
  register: closed
"""

RETURN = r"""
stats:
  description: Verdict, plan digest, outcome, record and its head hash.
  returned: success
  type: dict
  sample: {incident: chain_halt, status: incident, severity: SEV-1, plan_digest: chain_halt-0f3c9a1b2c3d4e5f, outcome: planned}
screen:
  description: The one screen, line by line. Printed here, or below the recap where the callback of the playbooks is loaded.
  returned: success
  type: list
  elements: str
  sample: ["== DIAGNOSIS: THE CHAIN RUNS =="]
record_path:
  description: The directory of the record, or null where none was kept.
  returned: success
  type: str
  sample: incidents/chain_halt-chain_virtengine-1-20261130T171400Z
outcome:
  description: How the run ended.
  returned: success
  type: str
  sample: planned
ending:
  description: Why the run must end with a failure, or null.
  returned: success
  type: str
  sample: null
"""
