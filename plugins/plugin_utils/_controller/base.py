# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller's action plugins share. PRIVATE to the collection.

The rest of ``plugin_utils`` is pure, but for ``fan_out.py``, which asks many addresses at once. This folder is the one place
in it that touches Ansible and files.
"""

from __future__ import annotations

import datetime
import json
import typing as t

from ansible.plugins.action import ActionBase

# Set in the environment by the callback that prints the screen at the very end of the run.
SCREEN_LAST = "VIRTENGINE_INCIDENT_SCREEN_LAST"


class Refusal(Exception):
    """The run must not go on; the text says what, where and what to do."""


def now() -> str:
    """The controller's time, RFC 3339 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: t.Any) -> t.Any:
    """Strip Ansible's tags and lazy containers: what is left is JSON and is never taken for a template."""
    return json.loads(json.dumps(value, default=str))


class ControllerAction(ActionBase):
    """A step that runs once for all hosts of the play, on the controller, and opens no connection."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False

    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        result["changed"] = False
        args = self.validate_argument_spec(self.ARGUMENTS)[1]
        try:
            result.update(self.step(args, task_vars or {}))
        except Refusal as refusal:
            result.update(failed=True, msg=str(refusal))
        return result

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Do the work; raise Refusal to end the run."""
        raise NotImplementedError

    def say(self, lines: t.Iterable[str]) -> None:
        """Print plain lines: they read the same on a terminal, in a log and in AWX."""
        self._display.display("\n".join(lines))
