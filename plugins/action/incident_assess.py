# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add the look that was just taken to the evidence, and say what it means so far."""

from __future__ import annotations

import typing as t

from ..plugin_utils._controller import looks
from ..plugin_utils._controller.base import ControllerAction
from ..plugin_utils._controller.state import RunState
from ..plugin_utils._incidents import registry
from ..plugin_utils._path.render import screen


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {"run_dir": {"type": "path", "required": True}}

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = RunState(args["run_dir"])
        incident = registry.incident(state.facts["incident"])
        # Saved evidence has all its looks: the whole answer comes at once.
        replay = state.facts["replay"]
        bundle = state.read("bundle") if replay else looks.add_look(state, incident)
        verdict = incident.assess(bundle)
        state.keep("verdict", verdict)
        number = looks.current(state)["number"]
        more = not replay and number < incident.timing.looks
        if more and number == 1:
            self.say(screen.first_answer(verdict))
        looks.turn(state, incident.timing.gap_s if more else 0)
        return {
            "more": more,
            "next_look": number + 1,
            **{key: verdict[key] for key in ("status", "confirmed", "summary", "subject")},
        }
