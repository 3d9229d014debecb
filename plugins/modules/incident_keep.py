#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_keep
short_description: Copy what a record holds to another host, within a deadline
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Runs M(ansible.builtin.copy) with a deadline. Files get mode 0600, directories 0700.
  - A host that cannot be reached, refuses the copy or does not answer in time is an answer with RV(ok=false), so that it stops no recovery.
options:
  src:
    description: The file or directory on the controller.
    type: path
    required: true
  dest:
    description: The directory on the host, ending in a slash.
    type: path
    required: true
  deadline:
    description: The time after which the host counts as late, in seconds.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    details:
      - In check mode no record is kept, so there is nothing to copy.
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    support: full
    description: Runs on the controller as an action plugin.
extends_documentation_fragment:
  - virtengine.incident.attributes
seealso:
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Keep the record on another host
  virtengine.incident.incident_keep:
    src: /srv/site/incidents/chain_halt-chain_virtengine-1-20261130T171400Z
    dest: /var/lib/virtengine-incident/records/run-5f0c3f9a/
  delegate_to: vs1
  run_once: true
"""

RETURN = r"""
ok:
  description: Whether the copy is there.
  returned: success
  type: bool
  sample: true
error:
  description: What went wrong, as a kind and a text, or null.
  returned: success
  type: dict
  sample: {kind: late, text: the host gave no answer within 60 s}
"""
