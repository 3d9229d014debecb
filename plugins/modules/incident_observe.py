#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_observe
short_description: Ask one host for its evidence, and keep what comes of it
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Runs a module that only observes on the host, with a deadline, and keeps its RV(ignore:evidence) as an observation of the current look.
  - A host that cannot be reached, does not answer in time or refuses is an observation as well, so that no host leaves the play.
  - Asks in the same task who holds locks on the host.
  - The pause before a later look is counted from the observation of the look before.
options:
  source:
    description:
      - The module to run, of this collection, such as V(node_evidence). It returns C(evidence), or C(error) with a C(kind) and a C(text).
      - Where it fails instead, it was given a wrong option, and so does this task.
    type: str
    required: true
  args:
    description: The options of that module.
    type: dict
    default: {}
  delay:
    description:
      - Whether the module has the options C(delay) and C(deadline) and waits on the host itself, so that login and sending fall into the pause.
    type: bool
    default: false
  deadline:
    description: The time that the host has for its answer, in seconds, beside the pause.
    type: int
    default: 20
attributes:
  check_mode:
    support: full
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.run
"""

EXAMPLES = r"""
- name: Ask every host for its evidence
  virtengine.incident.incident_observe:
    run_dir: "{{ incident_run.run_dir }}"
    source: node_evidence
    args:
      unit: virtengine.service
    delay: true
"""

RETURN = r"""
ok:
  description: Whether the host gave evidence.
  returned: always
  type: bool
  sample: true
at:
  description: When it was observed, by the controller's clock.
  returned: always
  type: str
  sample: "2026-11-24T19:00:00.000000Z"
error:
  description: Why there is no evidence, as a kind and a text, or null.
  returned: always
  type: dict
  sample: {kind: late, text: the host gave no answer within 25 s}
"""
