# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks between the steps of an acting run: the lock, the guards before a step, its outcome, the recovery."""

from __future__ import annotations

import re
import typing as t

from ..plugin_utils._controller import looks
from ..plugin_utils._controller.base import ControllerAction, Refusal, plain
from ..plugin_utils._controller.state import RunState
from ..plugin_utils._incidents import registry
from ..plugin_utils._path.evidence import bundle as bundles
from ..plugin_utils._path.incident import Incident
from ..plugin_utils._path.record import timeline
from ..plugin_utils._path.render import plan as plan_view
from ..plugin_utils._path.text import clean

Data = dict[str, t.Any]

# As a run is named when it is opened: nothing else is offered to be typed.
RUN_NAME = re.compile(r"run-[0-9a-f]{8}")


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[Data] = {
        "run_dir": {"type": "path", "required": True},
        "phase": {
            "type": "str",
            "required": True,
            "choices": ["lock_first", "lock", "before", "after", "recovered", "put_back"],
        },
        "step": {"type": "dict"},
    }

    def step(self, args: Data, task_vars: Data) -> Data:
        state = RunState(args["run_dir"])
        incident = registry.incident(state.facts["incident"])
        step = plain(args["step"]) if args["step"] is not None else {}
        phase: t.Callable[[RunState, Incident, Data], Data] = getattr(self, f"_{args['phase']}")
        return phase(state, incident, step)

    def _lock_first(self, state: RunState, incident: Incident, step: Data) -> Data:
        """One host decides between runs that come at the same moment: the loser takes the lock nowhere."""
        return taken(state, [state.read("gate")["lock_first"]])

    def _lock(self, state: RunState, incident: Incident, step: Data) -> Data:
        """All hosts that answered in the last look must have given us the lock."""
        answer = taken(state, bundles.answered(state.read("bundle"), incident.sources))
        # Only now is the digest used: a run that met another's lock did nothing, and may come back with it.
        gate = state.read("gate")
        used = {key: gate[key] for key in ("digest", "resumed", "break_glass_reason")}
        state.record().append("approved", {"who": state.facts["who"], **used})
        broken = {host: results[-1]["args"].get("owner") for host, results in state.noted("lock_broken").items()}
        if broken:
            state.record().append("note", {"lock_broken_on": broken})
        state.keep("gate", {**gate, "locked_on": answer["taken_on"]})
        state.keep("plan", gate["plan"])
        return answer

    def _before(self, state: RunState, incident: Incident, step: Data) -> Data:
        """Guards, from an observation of all hosts that is seconds old."""
        plan, gate = state.read("plan"), state.read("gate")
        state.keep("gate", {**gate, "cleared": None})
        step = approved_step(gate, step)
        unlocked = sorted(set(step["hosts"]) - set(gate["locked_on"]))
        if unlocked:
            raise Refusal(
                f"{', '.join(unlocked)} did not answer when the lock was taken, so it is not locked: it gets no step."
            )
        still_locked(state, gate, step["hosts"])
        bundle = looks.add_look(state, incident)
        begun = timeline.begun(state.record().entries(), gate["digest"])
        checked = incident.check_step(bundle, {**plan, "begun": begun}, step)
        if checked["needed"] and not checked["ok"] and checked["wait"] and self._may_look_again(state, incident, step):
            return self._look_again(state, incident, wait=True, needed=False)
        record = state.record()
        named = {"step": step["number"], **{key: step[key] for key in ("action", "what", "hosts")}}
        record.append("guard", {**named, **checked})
        if not checked["needed"]:
            self.say([plan_view.step_line(step, "not needed any more", plan)])
            return self._look_again(state, incident, wait=False, needed=False, give=checked["give"])
        if not checked["ok"]:
            raise Refusal(f"Step {step['number']} was not taken: {checked['because']}")
        # The guards are those of this action: what is cleared is that and nothing else.
        cleared = {**named, "parameters": step["parameters"], "noted": f"step{step['number']}"}
        state.keep("gate", {**gate, "cleared": cleared})
        record.append("action_started", {**named, "undo": step["undo"]})
        self.say([plan_view.step_line(step, "begun", plan)])
        return self._look_again(state, incident, wait=False, needed=True, give=checked["give"])

    @staticmethod
    def _look_again(state: RunState, incident: Incident, *, wait: bool, **answer: t.Any) -> Data:
        """The answer of a check that used up a look: the next one has another number, and a pause where it waits."""
        looks.turn(state, incident.timing.wait_s if wait else 0)
        return {"give": {}, **answer, "wait": wait, "next_look": looks.current(state)["number"]}

    @staticmethod
    def _may_look_again(state: RunState, incident: Incident, step: Data) -> bool:
        """Count the looks of one occasion (a step; no step: the recovery); False when they are used up."""
        counts, occasion = state.read("looks") or {}, str(step.get("number"))
        count = counts.get(occasion, 0) + 1
        state.keep("looks", {**counts, occasion: count})
        return bool(count < incident.timing.most_looks)

    def _after(self, state: RunState, incident: Incident, step: Data) -> Data:
        """What the step came to: every call of its action on each of its hosts."""
        plan, gate = state.read("plan"), state.read("gate")
        step = approved_step(gate, step)
        state.keep("gate", {**gate, "cleared": None})
        calls = state.noted(f"step{step['number']}")
        problem = problem_of(step, calls)
        times = sorted(call[key] for done in calls.values() for call in done for key in ("started_at", "finished_at"))
        state.record().append(
            "action_finished",
            {
                "step": step["number"],
                **{key: step[key] for key in ("action", "what", "hosts")},
                "ok": problem is None,
                "problem": problem,
                "started_at": times[0] if times else None,
                "finished_at": times[-1] if times else None,
                "did": {host: [call["answer"].get("actions") for call in done] for host, done in calls.items()},
            },
        )
        self.say([plan_view.step_line(step, "done" if problem is None else "FAILED", plan)])
        if problem:
            raise Refusal(f"Step {step['number']} ({step['what']}) failed: {problem}. Stop here and diagnose again.")
        return {}

    def _put_back(self, state: RunState, incident: Incident, step: Data) -> Data:
        """At the end: what the plan says is put back, on the hosts that are locked. It never fails the closing."""
        gate = state.read("gate")
        hosts = sorted(set(step["hosts"]) & set(gate.get("locked_on", [])))
        keys = ("action", "hosts", "parameters")
        known = any(all(step[key] == entry[key] for key in keys) for entry in gate["put_back"])
        named = {key: step[key] for key in ("action", "parameters")}
        cleared = {"step": "at the end", **named, "hosts": hosts if known else [], "noted": "put_back"}
        state.keep("gate", {**gate, "cleared": None, "putting_back": cleared})
        return {"hosts": cleared["hosts"]}

    def _recovered(self, state: RunState, incident: Incident, step: Data) -> Data:
        """Is it over, by a fresh look. Where the lock was lost meanwhile, another run acts: nothing is put back then."""
        still_locked(state, state.read("gate"), [])
        bundle = looks.add_look(state, incident)
        state.keep("verdict_after", incident.assess(bundle))
        recovery = incident.recovered(bundle, state.read("plan"), state.read("verdict"))
        state.keep("recovery", recovery)
        again = not recovery["recovered"] and self._may_look_again(state, incident, {})
        return self._look_again(
            state, incident, wait=again, recovered=recovery["recovered"], because=recovery["because"]
        )


def taken(state: RunState, hosts: list[str]) -> Data:
    """The hosts on which all scopes are locked by this run. Refusal where one of ``hosts`` is missing."""
    gate = state.read("gate")
    noted = state.noted("lock_acquired")
    missing, held, ours = [], [], []
    for host in hosts:
        results = noted.get(host, [])
        if any(result["answer"].get("used") for result in results) and not gate["resumed"]:
            raise Refusal(
                f"The digest was used before, as {host} knows. Nothing was done. Approve the plan printed now."
            )
        others = [by for result in results if isinstance(by := result["answer"].get("held_by"), dict)]
        got = {result["args"]["scope"] for result in results if result["ok"] and result["answer"].get("held")}
        if others:
            held.append((host, others[0]))
        elif got >= set(gate["scopes"]):
            ours.append(host)
        else:
            wrong = next((result["error"]["text"] for result in results if result["error"]), "no answer")
            missing.append(f"{host}: {wrong}")
    unwritten = {
        host: why for host in ours for result in noted[host] if (why := result["answer"].get("not_written")) is not None
    }
    entry = {"scopes": gate["scopes"], "taken_on": ours, "held_on": held, "not_taken": missing}
    state.record().append("lock", {**entry, **({"digest_not_written_on": unwritten} if unwritten else {})})
    if held:
        owner, who, age = (clean(held[0][1].get(key)) for key in ("owner", "who", "age_s"))
        raise Refusal(
            f"Another responder holds the lock of {', '.join(gate['scopes'])} on {', '.join(name for name, _who in held)}: "
            f"{owner or 'an unreadable lock file'} ({who or 'unknown'}, {age or '?'} s ago). Nothing was done. "
            + (
                f"If that run is dead, run again with -e incident_break_lock={owner}"
                if RUN_NAME.fullmatch(owner)
                else "Its name is not that of a run: look at that file."
            )
        )
    if missing:
        raise Refusal("The lock could not be taken, nothing was done. " + "; ".join(missing))
    return {"taken_on": ours}


def approved_step(gate: Data, step: Data) -> Data:
    """The step of the approved plan that ``step`` claims to be. Raises Refusal where it is none of them."""
    for approved in gate["steps"]:
        if all(step.get(key) == approved[key] for key in ("number", "action", "hosts")):
            return dict(approved)
    hosts = step.get("hosts")
    on = ", ".join(str(host) for host in hosts) if isinstance(hosts, list) else str(hosts)
    raise Refusal(
        f"{step.get('action')} on {on} (step {step.get('number')}) is no step of the approved plan. Nothing was done."
    )


def problem_of(step: Data, calls: dict[str, list[Data]]) -> str | None:
    """Why a step has not succeeded, or None: every call that was made has an answer without an error, on all its hosts."""
    for host in step["hosts"]:
        if not calls.get(host):
            return f"{host} gave no answer"
        wrong = next((call["error"]["text"] for call in calls[host] if not call["ok"]), None)
        if wrong is not None:
            return wrong if len(step["hosts"]) == 1 else f"{host}: {wrong}"
    return None


def still_locked(state: RunState, gate: Data, of_step: list[str]) -> None:
    """Raise Refusal unless this run still holds every lock on all its hosts that answer in this look, and one answers.

    A lock can be broken by name while its run still lives: that run must not act beside the other one, nor put back what
    it changed. ``of_step``: hosts that are acted on next; one that answers has to show its locks.
    """
    answers = looks.locks_of_look(state, looks.current(state)["number"])
    lost, seen = [], 0
    for host in gate["locked_on"]:
        answer = answers.get(host)
        if answer is None or not answer["ok"]:
            lost += [f"{host} (its locks cannot be seen)"] if answer is not None and host in of_step else []
            continue
        seen += 1
        owners = {lock["scope"]: lock["owner"] for lock in answer["locks"]}
        gone = [scope for scope in gate["scopes"] if owners.get(scope) != state.facts["run"]]
        lost += [f"{host} (now held by {owners.get(scope) or 'nobody'})" for scope in gone]
    if lost or not seen:
        where = ", ".join(lost) or "any host that answers"
        state.keep("gate", {**gate, "cleared": None, "locked_on": [], "lost_on": gate["locked_on"]})
        raise Refusal(
            f"The lock of {', '.join(gate['scopes'])} is no longer ours on {where}. Somebody broke it: nothing more is done."
        )
