# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes the file that stands for the lamp's API. A lamp that is ``stuck`` stays dark, a ``killing`` one ends the run."""

from __future__ import annotations

import json
import os
import signal

from ansible.module_utils.basic import AnsibleModule

if __name__ == "__main__":
    module = AnsibleModule(argument_spec={"api": {"type": "path"}, "state": {"type": "str"}, "watts": {"type": "int"}})
    with open(module.params["api"], encoding="utf-8") as stream:
        lamp = json.load(stream)
    before = dict(lamp)
    state = module.params["state"]
    if state == "on" and lamp.get("killing"):
        os.kill(lamp["killing"], signal.SIGKILL)
    if state == "on":
        lamp.update(on=not lamp.get("stuck"), watts=module.params["watts"])
    else:
        lamp["panel"] = state
    lamp["done"] = [*lamp.get("done", []), state]
    with open(module.params["api"], "w", encoding="utf-8") as stream:
        json.dump(lamp, stream)
    module.exit_json(changed=lamp != before, lit=lamp["on"], msg="it stays dark")
