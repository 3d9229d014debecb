# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the file that stands for the lamp's API."""

from __future__ import annotations

import json

from ansible.module_utils.basic import AnsibleModule

if __name__ == "__main__":
    module = AnsibleModule(argument_spec={"api": {"type": "path"}}, supports_check_mode=True)
    try:
        with open(module.params["api"], encoding="utf-8") as stream:
            module.exit_json(evidence=json.load(stream))
    except OSError as error:
        module.exit_json(error={"kind": "refused", "text": f"no answer: {error.strerror}"})
