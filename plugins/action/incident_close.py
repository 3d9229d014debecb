# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Last step of every incident: finish the record, write the report, print the one screen."""

from __future__ import annotations

import json
import sys
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import (
    ControllerAction,
    Refusal,
    plain,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.looks import lock_result
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import command as _command
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import report as _report
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import screen as _screen


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "run_dir": {"type": "path", "required": True},
        "failed_message": {"type": "str"},
        "fail_on": {"type": "str", "choices": ["never", "incident", "degraded", "unknown"], "default": "never"},
    }

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = RunState(args["run_dir"])
        facts, record = state.facts, state.record()
        broken: list[str] = []
        verdict, plan = state.read("verdict"), state.read("plan")
        recovery, gate = state.read("recovery"), state.read("gate")
        outcome, lines = outcome_of(state, args["failed_message"])
        left = locks_left(task_vars) if gate else []
        stays = put_back_failed(facts["incident"], task_vars) if gate else []
        entries = [("verified", recovery)] if recovery is not None else []
        entries += [("note", {"lock_left_on": left})] if left else []
        entries += [("note", {"not_put_back_on": stays})] if stays else []
        entries.append(("run_finished", {"outcome": outcome, "because": list(lines)}))
        try:
            for kind, data in entries:
                record.append(kind, data)
            head = record.head()
            report = self._report(record, verdict, plan, head)
        except (Refusal, OSError, hash_chain.BrokenRecord) as error:
            # The screen is what the engineer waits for: it comes out whatever became of the record.
            head, report = None, None
            broken = [f"The record could not be ended: {error}"]
        shown = state.read("verdict_after") if outcome in ("recovered", "not_recovered") else verdict
        shown = shown or verdict
        if verdict:
            lines += broken
            # A run that acted held the lock itself, and one that was refused has said who holds it.
            lines += (state.read("holders") or []) if outcome in ("planned", "diagnosed") else []
            lines += [f"What a step changed for a time is not put back on {', '.join(stays)}."] if stays else []
            lines += [f"The lock could not be given back on {', '.join(left)}."] if left else []
            screen = _screen.final(
                shown,
                plan,
                approve_command=self._approve_command(facts, plan, task_vars),
                record_path=report or (record.path if record.kept else None),
                head_hash=head,
                outcome=outcome,
                lines=lines,
            )
            self.say(screen)
        state.remove()
        return {
            "stats": {
                "incident": facts["incident"],
                "status": (shown or {}).get("status", "unknown"),
                "severity": (shown or {}).get("severity"),
                "summary": (shown or {}).get("summary"),
                "plan_digest": plan["digest"] if plan and plan["steps"] else None,
                "outcome": outcome,
                "record": record.path,
                "record_head": head,
            },
            "record_path": record.path,
            "outcome": outcome,
            "ending": ending(args["fail_on"], verdict, outcome, args["failed_message"]),
        }

    @staticmethod
    def _approve_command(facts: dict[str, t.Any], plan: t.Any, task_vars: dict[str, t.Any]) -> str | None:
        """Nothing is approved without steps, and nothing that was planned from saved evidence."""
        if facts["replay"] or not plan or not plan["steps"]:
            return None
        awx = any(name in task_vars for name in ("awx_job_id", "tower_job_id"))
        return _command.approve(plan["digest"], sys.argv, awx)

    @staticmethod
    def _report(record: t.Any, verdict: t.Any, plan: t.Any, head: str | None) -> str | None:
        if not record.kept or verdict is None:
            return None
        whole = {
            "id": record.path.rsplit("/", 1)[-1],
            "entries": record.entries(),
            "verdict": verdict,
            "plan": plan,
            "head": head,
        }
        record.write("verdict.json", json.dumps(verdict, indent=1))
        record.write("report.md", _report.markdown(whole))
        page: str | None = record.write("report.html", _report.html(whole))
        return page


def ending(fail_on: str, verdict: dict[str, t.Any] | None, outcome: str, failed_message: str | None) -> str | None:
    """Why the run must end with a failure, or None.

    Schedules and CI want the verdict as an exit code (``incident_fail_on``); a run that recovered is no failure.
    """
    if outcome in ("not_recovered", "refused"):
        return (
            failed_message or "The chain is not proven to have recovered: the screen above says what stands in the way."
        )
    if fail_on == "never" or outcome == "recovered":
        return None
    status = (verdict or {}).get("status", "unknown")
    bad = ["incident", "degraded", "unknown"][: ["incident", "degraded", "unknown"].index(fail_on) + 1]
    return f"The verdict is '{status}', and incident_fail_on is '{fail_on}'." if status in bad else None


def outcome_of(state: RunState, failed_message: str | None) -> tuple[str, list[str]]:
    """How the run ended, in a word, and the lines that say why."""
    recovery, gate, plan = state.read("recovery"), state.read("gate"), state.read("plan")
    refused = state.read("refused")
    if recovery is not None:
        return ("recovered" if recovery["recovered"] else "not_recovered"), [recovery["because"]]
    if refused:
        return "refused", list(refused["lines"])
    if failed_message:
        # A run that did not get the lock did nothing.
        return ("not_recovered" if gate and "locked_on" in gate else "refused"), failed_message.splitlines()
    if plan and plan["steps"]:
        return "planned", []
    return "diagnosed", []


def put_back_failed(incident: str, task_vars: dict[str, t.Any]) -> list[str]:
    """Hosts on which what the steps changed only for a time could not be put back."""
    failed = []
    for host in task_vars["ansible_play_hosts_all"]:
        result = plain(task_vars["hostvars"][host].get(f"_{incident}_put_back") or {})
        if result and not result.get("skipped") and not result.get("ok"):
            failed.append(host)
    return failed


def locks_left(task_vars: dict[str, t.Any]) -> list[str]:
    """Hosts on which the lock was taken and not given back."""
    left = []
    for host in task_vars["ansible_play_hosts_all"]:
        variables = task_vars["hostvars"][host]
        taken = lock_result(variables)
        released = plain(variables.get("_incident_unlock") or {})
        if (taken.get("answer") or {}).get("held") and not released.get("ok"):
            left.append(host)
    return left
