# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy what a record holds to another host; a host that is away or hangs is an answer, and stops no recovery."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..plugin_utils._controller.deadline import bounded
from ..plugin_utils._path.text import clean


class ActionModule(ActionBase):
    # The copy makes its own temporary directory, inside the deadline.
    TRANSFERS_FILES = False
    # The connection is opened inside the deadline, so that a host that is gone becomes an answer as well.
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        args = self.validate_argument_spec(
            {
                "src": {"type": "path", "required": True},
                "dest": {"type": "path", "required": True},
                "deadline": {"type": "int", "default": 60},
            }
        )[1]
        task = self._task.copy()
        task.args = {"src": args["src"], "dest": args["dest"], "mode": "0600", "directory_mode": "0700"}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        answer, error = bounded(self._connection, args["deadline"], lambda: copy.run(task_vars=task_vars))
        if error is None and (answer.get("failed") or answer.get("unreachable")):
            error = {"kind": "failed", "text": clean(str(answer.get("msg") or "the copy failed without a message"))}
        result.update(changed=bool(answer.get("changed")), ok=error is None, error=error)
        return result
