# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Last step of every incident: finish the record, write the report, print the one screen."""

from __future__ import annotations

import json
import os
import sys
import typing as t

from ..plugin_utils._controller.base import SCREEN_LAST, ControllerAction, Refusal
from ..plugin_utils._controller.state import RunState
from ..plugin_utils._incidents import registry
from ..plugin_utils._path.record import hash_chain
from ..plugin_utils._path.render import command, html, markdown, screen
from ..plugin_utils._path.render.screen import Ended

Data = dict[str, t.Any]


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[Data] = {
        "run_dir": {"type": "path", "required": True},
        "failures": {"type": "list", "elements": "str", "default": []},
        "fail_on": {"type": "str", "choices": ["never", "incident", "degraded", "unknown"], "default": "never"},
    }

    def step(self, args: Data, task_vars: Data) -> Data:
        state = RunState(args["run_dir"])
        facts, record, gate = state.facts, state.record(), state.read("gate")
        verdict, plan, recovery = state.read("verdict"), state.read("plan"), state.read("recovery")
        failed_message = why_it_stopped(args["failures"])
        outcome, lines = outcome_of(state, failed_message)
        left, back, stays = (locks_left(state), *put_back(state, gate)) if gate else ([], [], [])
        entries = [("verified", recovery)] if recovery is not None else []
        notes = {"put_back_on": back, "not_put_back_on": stays, "lock_left_on": left}
        entries += [("note", {name: hosts}) for name, hosts in notes.items() if hosts]
        entries.append(("run_finished", {"outcome": outcome, "because": list(lines)}))
        head, report, undone = None, None, []
        try:
            for kind, data in entries:
                record.append(kind, data)
            head = record.head()
            report = self._report(state, verdict, plan, head)
        except (Refusal, OSError, hash_chain.BrokenRecord) as error:
            # The screen is what the engineer waits for: it comes out whatever became of the record.
            undone.append(f"The record could not be ended: {error}")
        shown = (state.read("verdict_after") if outcome in ("recovered", "not_recovered") else None) or verdict
        # A run that acted held the lock itself, and one that was refused has said who holds it.
        lines += (state.read("holders") or []) if outcome in ("planned", "diagnosed") else []
        undone += [f"What a step changed for a time is not put back on {', '.join(stays)}."] if stays else []
        undone += [f"The lock could not be given back on {', '.join(left)}."] if left else []
        lines = [*lines, *undone]
        ended = Ended(
            outcome=outcome,
            lines=lines,
            approve_command=self._approve_command(facts, plan, task_vars),
            record_path=_from_here(report or record.path),
            head_hash=head,
            advice=registry.incident(facts["incident"]).advice.get(outcome, ()),
        )
        page = screen.final(shown, plan, ended) if verdict else []
        # The callback beside the playbooks prints it below Ansible's own recap; without it, it is printed here.
        if not os.environ.get(SCREEN_LAST):
            self.say(page)
        state.remove()
        return {
            "stats": {
                "incident": facts["incident"],
                "subject": (shown or {}).get("subject"),
                "status": (shown or {}).get("status", "unknown"),
                "severity": (shown or {}).get("severity"),
                "summary": (shown or {}).get("summary"),
                "plan_digest": plan["digest"] if plan and plan["steps"] else None,
                "hand_over": (shown or {}).get("hand_over", []),
                "outcome": outcome,
                "record": record.path,
                "record_head": head,
            },
            "screen": page,
            "record_path": record.path,
            "outcome": outcome,
            "ending": ending(args["fail_on"], verdict, outcome, failed_message, undone),
        }

    @staticmethod
    def _approve_command(facts: Data, plan: t.Any, task_vars: Data) -> str | None:
        """Nothing is approved without steps, and nothing that was planned from saved evidence."""
        if facts["replay"] or not plan or not plan["steps"]:
            return None
        awx = any(name in task_vars for name in ("awx_job_id", "tower_job_id"))
        return command.approve(plan["digest"], sys.argv, awx)

    @staticmethod
    def _report(state: RunState, verdict: t.Any, plan: t.Any, head: str | None) -> str | None:
        """Verdict and report beside the journal; the path of the page, None where no record is kept."""
        record = state.record()
        if record.path is None or verdict is None:
            return None
        whole = {
            "id": os.path.basename(record.path),
            "entries": record.entries(),
            "verdict": verdict,
            "plan": plan,
            "head": head,
            "contacts": state.facts["contacts"],
            "dashboards": state.facts["dashboards"],
        }
        record.write("verdict.json", json.dumps(verdict, indent=1))
        record.write("report.md", markdown.page(whole))
        return record.write("report.html", html.page(whole))


def why_it_stopped(failures: t.Sequence[str]) -> str | None:
    """The message of the host that failed, None where none did. Where one fails, Ansible ends the run on all of them."""
    if not failures:
        return None
    return next(filter(None, failures), "A task failed without a message. See the output above.")


def _from_here(path: str | None) -> str | None:
    """A path as a person types it who stands where the command was typed."""
    here = os.path.join(os.getcwd(), "")
    return path[len(here) :] if path is not None and path.startswith(here) else path


def ending(
    fail_on: str, verdict: Data | None, outcome: str, failed_message: str | None, undone: t.Sequence[str] = ()
) -> str | None:
    """Why the run must end with a failure, or None.

    Schedules and CI want the verdict as an exit code (``incident_fail_on``); a run that recovered is no failure, unless
    it left something ``undone``: a protection that is still off, a lock, a record without its end.
    """
    if outcome in ("not_recovered", "refused"):
        return failed_message or "The recovery is not proven: the screen says what stands in the way."
    if undone:
        return " ".join(undone)
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


def put_back(state: RunState, gate: Data) -> tuple[list[str], list[str]]:
    """Hosts on which what the steps changed only for a time was put back, and those on which it stays as it is.

    It stays as well where the lock was lost: another run acts there then, but whoever reads the screen has to know.
    """
    done = state.noted("put_back")
    locked = {*gate.get("locked_on", []), *gate.get("lost_on", [])}
    due = {host for entry in gate["put_back"] for host in entry["hosts"]} & locked
    back = {host for host in due if done.get(host) and all(call["ok"] for call in done[host])}
    return sorted(back), sorted(due - back)


def _is_late(result: Data) -> bool:
    return bool(result["error"]) and result["error"]["kind"] in ("late", "unreachable")


def locks_left(state: RunState) -> list[str]:
    """Hosts on which a lock was taken and not given back."""
    taken, released = state.noted("lock_acquired"), state.noted("lock_released")
    left = []
    for host, results in sorted(taken.items()):
        # Of one that gave no answer in time nobody knows whether it took the lock.
        held = {result["args"]["scope"] for result in results if result["answer"].get("held") or _is_late(result)}
        given = {result["args"]["scope"] for result in released.get(host, []) if result["ok"]}
        if held - given:
            left.append(host)
    return left
