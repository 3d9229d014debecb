#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cometbft_wait."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cometbft_wait
short_description: Wait until a node has new blocks or a validator signs again
version_added: 0.1.0
author:
  - The virtengine.incident authors (@virtengine)
description:
  - Asks the RPC of one node about once a second until it shows what is waited for, and no longer than O(timeout).
  - That the time runs out is an answer and not a failure. RV(reached) is then false and RV(msg) says what is missing.
    Use C(failed_when) where it must be a failure. The task fails only on wrong options.
  - When both O(height_above) and O(signed_by) are given, both are waited for.
options:
  timeout:
    description:
      - Seconds to wait at most.
    type: float
    default: 60
  height_above:
    description:
      - Wait for a block above this height.
    type: int
  signed_by:
    description:
      - Wait for this validator to sign. Its consensus address, 40 hex digits.
      - A vote for nil is no signature under a block and does not count.
    type: str
  signed_min:
    description:
      - How many of the newest O(signed_of) commits it must have signed.
    type: int
    default: 3
  signed_of:
    description:
      - How many of the newest commits are looked at, at most 20.
    type: int
    default: 5
  signed_since_height:
    description:
      - Only commits above this height count, so that those from before a start do not.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
    details:
      - In check mode it looks once and does not wait, because what it would wait for was not done.
extends_documentation_fragment:
  - virtengine.incident.attributes
  - virtengine.incident.attributes.reads_only
  - virtengine.incident.attributes.action_group
  - virtengine.incident.rpc
notes:
  - A node that stands still shows the same commits for ever. Set O(signed_since_height) to the height before the start.
seealso:
  - module: virtengine.incident.cometbft_info
"""

EXAMPLES = r"""
- name: Wait for the next block
  virtengine.incident.cometbft_wait:
    height_above: 208
    timeout: 60
  register: wait
  failed_when: not wait.reached

- name: See whether a validator signs after its start
  virtengine.incident.cometbft_wait:
    signed_by: 18A9A9568B50709158C7415915F675ADEBF3BC28
    signed_since_height: 208
  register: wait
"""

RETURN = r"""
reached:
  description: Whether the RPC showed what was waited for.
  returned: success
  type: bool
  sample: true
height:
  description: Height of the newest block in the last look, null when it could not be read.
  returned: success
  type: int
  sample: 340
signed:
  description: Heights of the commits that count and that O(signed_by) has signed. Null when they could not be read.
  returned: success
  type: list
  elements: int
  sample: [340, 339, 338, 337, 336]
counted:
  description: Heights of the commits that count, newest first. Null when they could not be read or were not asked for.
  returned: success
  type: list
  elements: int
  sample: [340, 339, 338, 337, 336]
waited_s:
  description: Seconds from the first question to the last answer.
  returned: success
  type: float
  sample: 3.0
looks:
  description: How often the RPC was asked.
  returned: success
  type: int
  sample: 4
msg:
  description: What is missing, or that nothing is.
  returned: success
  type: str
  sample: "Reached."
"""

import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import goal as _cometbft_goal
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc
from ansible_collections.virtengine.incident.plugins.module_utils._host import http_one as _http

PAUSE_S = 1.0  # blocks come every second or slower; the RPC of a node in trouble is not to be hammered
LOOK_S = 5.0  # for one look: a node that answers later than that is asked again


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:26657"},
            "timeout": {"type": "float", "default": 60},
            "height_above": {"type": "int"},
            "signed_by": {"type": "str"},
            "signed_min": {"type": "int", "default": 3},
            "signed_of": {"type": "int", "default": 5},
            "signed_since_height": {"type": "int", "default": 0},
            "validate_certs": {"type": "bool", "default": True},
            "ca_path": {"type": "path"},
        },
        required_one_of=[("height_above", "signed_by")],
        supports_check_mode=True,
    )
    goal = _goal(module)
    until = time.monotonic() if module.check_mode else time.monotonic() + module.params["timeout"]
    began = time.monotonic()
    looks = 0
    while True:
        looks += 1
        left = LOOK_S if module.check_mode else min(LOOK_S, max(until - time.monotonic(), 0.1))
        seen = _cometbft_goal.judge(_look(module, goal, left), goal)
        if not seen.missing or time.monotonic() + PAUSE_S >= until:
            break
        time.sleep(PAUSE_S)
    module.exit_json(
        changed=False,
        reached=not seen.missing,
        height=seen.height,
        signed=seen.signed,
        counted=seen.counted,
        waited_s=round(time.monotonic() - began, 1),
        looks=looks,
        msg=". ".join(seen.missing) or "Reached.",
    )


def _goal(module: AnsibleModule) -> _cometbft_goal.Goal:
    options = module.params
    if not 0 < options["timeout"] <= 3600:
        module.fail_json(msg="timeout must be more than 0 and at most 3600 seconds")
    if options["signed_by"] is not None and not re.fullmatch("[0-9A-Fa-f]{40}", options["signed_by"]):
        module.fail_json(msg="signed_by must be a consensus address of 40 hex digits")
    if not 1 <= options["signed_min"] <= options["signed_of"] <= 20:
        module.fail_json(msg="signed_min must be at least 1 and at most signed_of, and signed_of at most 20")
    if min(options["height_above"] or 0, options["signed_since_height"]) < 0:
        module.fail_json(msg="a height is not negative")
    try:
        _http.target(options["url"], options["validate_certs"], options["ca_path"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    return _cometbft_goal.Goal(
        height_above=options["height_above"],
        signed_by=options["signed_by"].upper() if options["signed_by"] is not None else None,
        signed_min=options["signed_min"],
        signed_of=options["signed_of"],
        signed_since_height=options["signed_since_height"],
    )


def _look(module: AnsibleModule, goal: _cometbft_goal.Goal, seconds: float) -> dict[str, dict[str, object]]:
    return rpc.gather(
        module.params["url"],
        seconds,
        commits=goal.signed_of,
        parts=goal.parts,
        validate_certs=module.params["validate_certs"],
        ca_path=module.params["ca_path"],
    )


if __name__ == "__main__":
    main()
