# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks between the steps of an acting run: the lock, the guards before a step, its outcome, the recovery."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import (
    ControllerAction,
    Refusal,
    plain,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.looks import (
    add_look,
    answered_hosts,
    lock_result,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import undo
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import screen

# Each look waits 3 s and takes 2 or 3 more: a little over a minute, the time that a block has to come after quorum.
MOST_LOOKS = 12


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "run_dir": {"type": "path", "required": True},
        "phase": {"type": "str", "required": True, "choices": ["lock_first", "lock", "before", "after", "recovered"]},
        "look": {"type": "int"},
        "step": {"type": "dict"},
    }

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = RunState(args["run_dir"])
        phase = getattr(self, f"_{args['phase']}")
        answer: dict[str, t.Any] = phase(state, args, task_vars)
        return answer

    def _lock_first(self, state: RunState, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """One host decides between runs that come at the same moment: the loser takes the lock nowhere."""
        return self._took(state, task_vars, [state.read("gate")["lock_first"]])

    def _lock(self, state: RunState, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """All hosts that answered in the last look must have given us the lock."""
        answer = self._took(state, task_vars, answered_hosts(state.read("bundle")))
        # Only now is the digest used: a run that met another's lock did nothing, and may come back with it.
        gate = state.read("gate")
        used = {key: gate[key] for key in ("digest", "resumed", "break_glass_reason")}
        state.keep("gate", {**gate, "locked_on": answer["taken_on"]})
        state.record().append("approved", {"who": state.facts["who"], **used})
        return answer

    @staticmethod
    def _took(state: RunState, task_vars: dict[str, t.Any], hosts: list[str]) -> dict[str, t.Any]:
        missing, held, taken = [], [], []
        for host in hosts:
            result = lock_result(task_vars["hostvars"][host])
            answer = result.get("answer") or {}
            if answer.get("spent") and not state.read("gate")["resumed"]:
                raise Refusal(
                    f"The digest was used before, as {host} knows. Nothing was done. Approve the plan of now."
                )
            if result.get("ok") and answer.get("held"):
                taken.append(host)
            elif answer.get("held_by"):
                held.append((host, answer["held_by"]))
            else:
                missing.append(f"{host}: {(result.get('error') or {}).get('text', 'no answer')}")
        state.record().append("lock", {"taken_on": taken, "held_on": held, "not_taken": missing})
        if held:
            owner = held[0][1]
            raise Refusal(
                f"Another responder holds the lock of this chain on {', '.join(name for name, _who in held)}: "
                f"{owner.get('owner')} ({owner.get('who')}, {owner.get('age_s')} s ago). Nothing was done. If that run is "
                f"dead, run again with -e incident_break_lock={owner.get('owner')}"
            )
        if missing:
            raise Refusal("The lock could not be taken, nothing was done. " + "; ".join(missing))
        return {"taken_on": taken}

    def _before(self, state: RunState, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Guards, from an observation of all hosts that is seconds old."""
        plan, gate = state.read("plan"), state.read("gate")
        state.keep("gate", {**gate, "cleared": None})
        step = approved_step(gate, plain(args["step"]))
        if step["host"] not in gate["locked_on"]:
            raise Refusal(
                f"{step['host']} did not answer when the lock was taken, so it is not locked: it gets no step."
            )
        try:
            still_locked(state.facts["run"], gate["locked_on"], task_vars["hostvars"])
        except Refusal:
            # Nothing of this run may touch a host any more, not even to put back what it changed.
            state.keep("gate", {**gate, "cleared": None, "locked_on": []})
            raise
        bundle = add_look(state.read("bundle"), args["look"], task_vars)
        state.keep("bundle", bundle)
        told = {**plan, "begun": undo.begun(state.record().entries(), gate["digest"])}
        checked = registry.incident(state.facts["incident"]).check_step(bundle, told, step)
        next_look = args["look"] + 1
        if checked["needed"] and not checked["ok"] and checked["wait"] and self._may_look_again(state, step["number"]):
            return {"wait": True, "needed": False, "next_look": next_look}
        record = state.record()
        answer = {"wait": False, "moving": checked["moving"], "height": checked["height"], "next_look": next_look}
        record.append("guard", {"step": step["number"], "host": step["host"], "action": step["action"], **checked})
        if not checked["needed"]:
            self.say([screen.step_line(step, "not needed any more", plan)])
            return {"needed": False, **answer}
        if not checked["ok"]:
            raise Refusal(f"Step {step['number']} was not taken: {checked['because']}")
        # The guards are those of this action: what is cleared is that and nothing else.
        cleared = {"step": step["number"], "host": step["host"], "action": step["action"]}
        state.keep("gate", {**gate, "cleared": cleared})
        record.append("action_started", {**cleared, "undo": step.get("undo")})
        self.say([screen.step_line(step, "begun", plan)])
        return {"needed": True, **answer}

    @staticmethod
    def _may_look_again(state: RunState, occasion: int | str) -> bool:
        """Count the looks of one occasion; False when they are used up."""
        looks = state.read("looks") or {}
        taken = looks.get(str(occasion), 0) + 1
        state.keep("looks", {**looks, str(occasion): taken})
        return bool(taken < MOST_LOOKS)

    def _after(self, state: RunState, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the step did: every answer its action registered, and whether the chain moves where it should."""
        step, plan = plain(args["step"]), state.read("plan")
        variables = task_vars["hostvars"][step["host"]]
        # The incident's own action files register these, under the incident's name.
        acted = plain(variables.get(f"_{state.facts['incident']}_acted") or {})
        waited = plain(variables.get(f"_{state.facts['incident']}_waited") or {})
        if str(waited.get("started_at") or "") < str(acted.get("finished_at") or ""):
            # Of an earlier step on this host: a step without a wait leaves the old answer standing.
            waited = {}
        state.keep("gate", {**state.read("gate"), "cleared": None})
        waiting = waited.get("answer") or {}
        problem = None
        if not acted.get("ok"):
            problem = (acted.get("error") or {}).get("text", "the step gave no answer")
        elif not waited.get("skipped") and waited and not (waited.get("ok") and waiting.get("reached")):
            text = (waited.get("error") or {}).get("text") or str(waiting.get("msg") or "no new block was seen")
            problem = f"the chain did not go on as it should: {text}. Stop here and diagnose again"
        state.record().append(
            "action_finished",
            {
                "step": step["number"],
                "host": step["host"],
                "action": step["action"],
                "ok": problem is None,
                "problem": problem,
                "started_at": acted.get("started_at"),
                "finished_at": waited.get("finished_at") or acted.get("finished_at"),
                "did": (acted.get("answer") or {}).get("actions"),
            },
        )
        self.say([screen.step_line(step, "done" if problem is None else "FAILED", plan)])
        if problem:
            raise Refusal(f"Step {step['number']} ({step['action']} on {step['host']}) failed: {problem}.")
        return {}

    def _recovered(self, state: RunState, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Blocks come and every validator that was acted on signs."""
        bundle = add_look(state.read("bundle"), args["look"], task_vars)
        state.keep("bundle", bundle)
        incident = registry.incident(state.facts["incident"])
        state.keep("verdict_after", incident.assess(bundle))
        recovery = incident.recovered(bundle, state.read("plan"), state.read("verdict"))
        state.keep("recovery", recovery)
        again = not recovery["recovered"] and self._may_look_again(state, "recovered")
        return {
            **{key: recovery[key] for key in ("recovered", "because")},
            "wait": again,
            "next_look": args["look"] + 1,
        }


def approved_step(gate: dict[str, t.Any], step: dict[str, t.Any]) -> dict[str, t.Any]:
    """The step of the approved plan that ``step`` claims to be. Raises Refusal where it is none of them."""
    for approved in gate["steps"]:
        if all(step.get(key) == approved[key] for key in ("number", "action", "host")):
            return dict(approved)
    raise Refusal(
        f"{step.get('action')} on {step.get('host')} (step {step.get('number')}) is no step of the approved plan. Nothing "
        "was done."
    )


def still_locked(run: str, hosts: list[str], hostvars: t.Mapping[str, t.Any]) -> None:
    """Raise Refusal unless the lock is still held by ``run`` on all ``hosts`` that answer, and one answers.

    A lock can be broken by name while its run still lives: that run must not act beside the other one.
    """
    lost, seen = [], 0
    for host in hosts:
        result = plain(hostvars[host].get("_incident_lock_now") or {})
        holder = (result.get("answer") or {}).get("held_by") or {}
        if result.get("ok") and holder.get("owner") != run:
            lost.append(f"{host} (now held by {holder.get('owner') or 'nobody'})")
        seen += bool(result.get("ok"))
    if lost or not seen:
        where = ", ".join(lost) or "any host that answers"
        raise Refusal(f"The lock of this chain is no longer ours on {where}. Somebody broke it: nothing more is done.")
