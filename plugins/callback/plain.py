# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard output for a tired person: what the incident's steps print, failures, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plain
type: stdout
short_description: Shows an incident run without Ansible's own noise
version_added: 0.1.0
author: The virtengine.incident authors (@virtengine)
description:
  - Prints what the steps of an incident print, a line for a task that takes long, failed tasks and unreachable hosts.
  - Leaves out banners, skipped tasks, results and the recap. With C(-v) the name of every task is printed.
  - The exit code and what is recorded do not depend on it.
requirements:
  - Set as C(stdout_callback = virtengine.incident.plain) in the C([defaults]) of C(ansible.cfg).
"""

import time
import typing as t

from ansible.plugins.callback import CallbackBase
from ansible_collections.virtengine.incident.plugins.plugin_utils._path import text as _text


class CallbackModule(CallbackBase):
    """Write lines, keep no state but the clock."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "virtengine.incident.plain"

    # What asks every host is worth waiting for; the name of its task says what is going on. Steps say their own lines.
    SHOWN = ("virtengine.incident.incident_observe", "incident_observe")

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._started = time.monotonic()

    def _line(self, text: str) -> None:
        self._display.display(f"[{time.monotonic() - self._started:5.1f} s] {_text.clean(text, 600)}")

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        name = task.get_name().rsplit(" : ", 1)[-1]
        if self._display.verbosity or task.action in self.SHOWN:
            self._line(name)

    def v2_runner_on_failed(self, result: t.Any, *_arguments: t.Any, **_options: t.Any) -> None:
        answer = result.result
        text = str(answer.get("msg") or "failed without a message")
        if "timedout" in answer:
            text = f"did not end in time: {text}"
        # A step that runs once for all hosts speaks for none of them.
        subject = "" if result.task.run_once else f"{result.host.get_name()}: "
        for number, line in enumerate(text.splitlines()):
            self._line(f"{subject}{line}" if number == 0 else line)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._line(f"{result.host.get_name()}: unreachable: {result.result.get('msg', '')}")
