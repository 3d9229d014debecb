# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes that every module of the collection states."""

from __future__ import annotations


class ModuleDocFragment:
    """What the attributes mean; a module adds the support it gives."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tells what it would do without doing it.
  diff_mode:
    description: Returns details on what has changed, or would change, in diff mode.
  idempotent:
    description: A second run with the same arguments on hosts in the same state changes nothing.
"""

    READS_ONLY = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Reads only, so it does the same in check mode.
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
  idempotent:
    support: full
    details:
      - Changes nothing.
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/virtengine.incident.all) in C(module_defaults) to set defaults for all modules.
    support: full
    membership:
      - virtengine.incident.all
"""

    RUN = r"""
options:
  run_dir:
    description:
      - The state of this run, as M(virtengine.incident.incident_open) returned it.
    type: path
    required: true
attributes:
  action:
    description: Runs on the controller as an action plugin.
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

    ACTS = r"""
options: {}
attributes:
  check_mode:
    description: Makes the same refusals and says what would be done.
    support: full
  idempotent:
    support: full
notes:
  - Needs root on the host.
"""
