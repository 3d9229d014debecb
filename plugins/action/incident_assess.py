# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather a look's observations from all hosts, keep them, and say what they mean so far."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import ControllerAction, Refusal
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.looks import add_look
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import (
    RunState,
    find_plan,
    incident_id,
    open_record,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import screen


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "run_dir": {"type": "path", "required": True},
        "look": {"type": "int", "required": True},
        "final": {"type": "bool", "default": False},
    }

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = RunState(args["run_dir"])
        facts = state.facts
        bundle = state.read("bundle")
        if not facts["replay"]:
            bundle = add_look(bundle, args["look"], task_vars)
            state.keep("bundle", bundle)
        verdict = registry.incident(facts["incident"]).assess(bundle)
        state.keep("verdict", verdict)
        if args["final"]:
            self._keep_record(state, bundle, verdict)
        elif not facts["replay"]:
            # Saved evidence has all its looks: the whole answer comes at once.
            self.say(screen.first_answer(verdict))
        return {
            "status": verdict["status"],
            "confirmed": verdict["confirmed"],
            "summary": verdict["summary"],
            "chain_id": verdict["chain_id"],
        }

    def _keep_record(self, state: RunState, bundle: dict[str, t.Any], verdict: dict[str, t.Any]) -> None:
        """Evidence is on the disk before anything can act on it. A healthy chain is no incident and leaves no record."""
        facts = dict(state.facts)
        if facts["check_mode"] or facts["replay"]:
            return
        # A run that comes back with a digest goes on in that incident's record, although the chain may have moved on.
        approved = find_plan(facts["record_dir"], str(facts["approve"] or "").strip())
        if verdict["status"] == "healthy" and approved is None:
            return
        identity = approved.incident if approved else incident_id(verdict)
        record, problem = open_record(facts["record_dir"], identity, facts["run"])
        facts.update(incident_id=identity, record_path=record.path, record_problem=problem)
        state.keep("run", facts)
        if problem:
            self._display.warning(f"No record is kept: {problem}. Nothing can be acted on until it can be written.")
        try:
            record.append("run_started", {"who": facts["who"], "at": facts["started_at"], "target": facts["target"]})
            record.evidence(f"evidence-{facts['run']}.json", bundle)
            record.append(
                "verdict", {key: verdict[key] for key in ("status", "severity", "causes", "summary", "power")}
            )
        except (Refusal, OSError) as error:
            # The diagnosis goes on without a record; nothing can be acted on.
            state.keep("run", {**facts, "record_path": None, "record_problem": str(error)})
            self._display.warning(f"No record is kept: {error}")
