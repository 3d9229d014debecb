# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the one screen at the very end, below Ansible's own recap, whatever standard output a site has configured."""

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_screen
type: aggregate
short_description: Shows the screen of an incident below Ansible's recap
version_added: 0.1.0
author: The virtengine.incident authors (@virtengine)
description:
  - Prints the screen that M(virtengine.incident.incident_close) returned when everything else has been printed.
  - Ansible loads it by itself for the playbooks beside which it lies. It needs no setting and has none.
"""

import os
import typing as t

from ansible.plugins.callback import CallbackBase
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import SCREEN_LAST

CLOSING = ("virtengine.incident.incident_close", "incident_close")


class CallbackModule(CallbackBase):
    """Remember the screen, and print it last."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "incident_screen"

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._screen: list[str] = []
        # The tasks' processes inherit it: the step that makes the screen leaves the printing to us.
        os.environ[SCREEN_LAST] = "1"

    def v2_runner_on_ok(self, result: t.Any) -> None:
        if result.task.action in CLOSING:
            # A command may run several incidents: each has its screen.
            self._screen += ["", *(str(line) for line in result.result.get("screen") or [])]

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        if self._screen:
            self._display.display("\n".join(self._screen))
