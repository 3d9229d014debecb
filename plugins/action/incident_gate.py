# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: make the plan, compare it with the digest a person gave back, and let the run act or not."""

from __future__ import annotations

import json
import os
import secrets
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import (
    ControllerAction,
    Refusal,
    plain,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.looks import answered_hosts
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import Record, RunState, find_plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import undo

# A killed run is taken up again by the people who saw it die, in the same incident. Later the approval is history.
RESUME_S = 3600


class Approval(t.NamedTuple):
    plan: dict[str, t.Any]
    resumed: bool


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "run_dir": {"type": "path", "required": True},
        "approve": {"type": "raw"},
        "break_glass_reason": {"type": "str"},
    }

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = RunState(args["run_dir"])
        facts, record = state.facts, state.record()
        bundle, verdict = state.read("bundle"), state.read("verdict")
        reason = (args["break_glass_reason"] or "").strip() or None
        spent = self._spent(record, task_vars)
        state.keep("holders", holders(looked_at(task_vars)))
        plan = registry.incident(facts["incident"]).plan(bundle, verdict, reason)
        plan = _plan.with_attempt(plan, spent)
        state.keep("plan", plan)
        if plan["steps"]:
            record.write(f"plan-{plan['digest']}.json", json.dumps(plan, indent=1))
        record.append("plan", {"digest": plan["digest"], "steps": plan["steps"], "withheld": plan["withheld"]})
        answer = {"act": False, "resumed": False, "digest": plan["digest"], "steps": [], "token": None}
        answer.update(record_path=record.path, height=plan["height"])
        if args["approve"] is None or facts["check_mode"] or facts["replay"]:
            return answer
        try:
            approval = self._approved(args["approve"], plan, verdict, state, spent)
            if approval.resumed and reason is None and any(step["taken_over"] for step in approval.plan["steps"]):
                raise Refusal(
                    f"{str(args['approve']).strip()} holds break-glass steps. To take it up again, give "
                    "incident_break_glass_reason again. Nothing was done."
                )
            lock_first = next(iter(answered_hosts(bundle)), None)
            if lock_first is None:
                raise Refusal("No host of the inventory answers, so the lock cannot be taken. Nothing was done.")
        except Refusal as refusal:
            state.keep("refused", {"lines": str(refusal).splitlines()})
            record.append("note", {"refused": str(refusal)})
            raise
        token = secrets.token_hex(16)
        # A run that was cut off may have begun a step: what it kept has its name.
        entries, digest = record.entries(), approval.plan["digest"]
        steps = [
            undo.named(step, [*undo.makers(entries, digest, step), facts["run"]]) for step in approval.plan["steps"]
        ]
        gate = {
            "token": token,
            "controller_pid": os.getppid(),
            "digest": str(args["approve"]).strip(),
            "steps": steps,
            "resumed": approval.resumed,
            "break_glass_reason": reason,
            "lock_first": lock_first,
        }
        state.keep("plan", approval.plan)
        state.keep("gate", gate)
        answer.update(act=True, resumed=approval.resumed, digest=gate["digest"], steps=steps, token=token)
        answer.update(lock_first=lock_first, height=approval.plan["height"])
        return answer

    def _spent(self, record: Record, task_vars: dict[str, t.Any]) -> list[str]:
        """Digests that were used before, as the hosts and the record know them."""
        known = {entry["data"]["digest"] for entry in record.entries() if entry["kind"] == "approved"}
        for answer in looked_at(task_vars).values():
            known.update(str(digest) for digest in answer.get("spent_digests") or [])
        return sorted(known)

    def _approved(
        self,
        given: t.Any,
        fresh: dict[str, t.Any],
        verdict: dict[str, t.Any],
        state: RunState,
        spent: list[str],
    ) -> Approval:
        """The plan this digest lets us carry out, or Refusal with the reason a person needs."""
        problem = _plan.invalid_digest(given)
        if problem:
            raise Refusal(problem)
        digest = str(given).strip()
        facts = state.facts
        if facts.get("record_problem"):
            raise Refusal(f"Nothing was done: the record cannot be written ({facts['record_problem']}).")
        if digest == fresh["digest"] and not fresh["steps"]:
            raise Refusal(f"{digest} is a plan without steps: there is nothing to approve.")
        if digest == fresh["digest"] and digest not in spent:
            return Approval(fresh, False)
        found = find_plan(facts["record_dir"], digest)
        if found is None:
            if digest in spent:
                raise Refusal(
                    f"{digest} was used before, and its record is not under {facts['record_dir']}. "
                    "Nothing was done. Approve the plan printed now."
                )
            raise Refusal(
                f"{digest} approves a plan that this run does not know. Nothing was done: the world changed since it was "
                "printed, or it is another incident's. Read the plan printed now and approve that one."
            )
        if found.outcome is not None:
            raise Refusal(
                f"{digest} was used before (that run ended: {found.outcome}). Nothing was done. Approve a new plan."
            )
        left = _plan.remaining(found.plan, fresh, verdict) if digest in spent else None
        if left is not None and found.silent_s > RESUME_S:
            raise Refusal(
                f"{digest} was approved for a run that was cut off {found.silent_s // 60} minutes ago, which is too long "
                "to go on under it. Nothing was done. Approve a new plan."
            )
        if left is not None:
            return Approval(left, True)
        difference = "\n".join(f"  {line}" for line in _plan.difference(found.plan, fresh))
        raise Refusal(f"The world changed since {digest} was printed. Nothing was done.\n{difference}")


def looked_at(task_vars: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """What each host answered when it was asked for the lock, before the plan."""
    found = {}
    for host in task_vars["ansible_play_hosts_all"]:
        looked = plain(task_vars["hostvars"][host].get("_incident_lock_info") or {})
        found[host] = dict(looked.get("answer") or {})
    return found


def holders(answers: dict[str, dict[str, t.Any]]) -> list[str]:
    """A line for each run that holds the lock of the chain now, with the hosts it holds it on."""
    held: dict[str, tuple[dict[str, t.Any], list[str]]] = {}
    for host, answer in sorted(answers.items()):
        holder = answer.get("held_by") or {}
        if holder:
            held.setdefault(str(holder.get("owner")), (holder, []))[1].append(host)
    return [
        f"The lock of this chain is held by {owner} ({holder.get('who')}, {holder.get('age_s')} s ago) on {', '.join(hosts)}: "
        "another responder acts, or died while it did."
        for owner, (holder, hosts) in held.items()
    ]
