# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: make the plan, open the record, compare with the digest a person gave back, and let the run act or not."""

from __future__ import annotations

import json
import os
import secrets
import typing as t

from ..plugin_utils._controller import looks
from ..plugin_utils._controller.base import ControllerAction, Refusal, now
from ..plugin_utils._controller.record import Record, Recorded, find_plan, open_record, record_name
from ..plugin_utils._controller.state import RunState
from ..plugin_utils._incidents import registry
from ..plugin_utils._path.evidence import bundle as bundles
from ..plugin_utils._path.incident import Incident
from ..plugin_utils._path.plan import plan as plans

# A killed run is resumed by the people who saw it die, in the same incident. Later its approval no longer counts.
RESUME_S = 3600

Data = dict[str, t.Any]


class Asked(t.NamedTuple):
    """What the gate decides on: everything of now, and what is on record of the digest that was given."""

    incident: Incident
    verdict: Data
    draft: Data
    plan: Data
    used: list[str]
    recorded: Recorded | None


class Approval(t.NamedTuple):
    plan: Data
    resumed: bool


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[Data] = {
        "run_dir": {"type": "path", "required": True},
        "approve": {"type": "raw"},
        "break_glass_reason": {"type": "str"},
    }

    def step(self, args: Data, task_vars: Data) -> Data:
        state = RunState(args["run_dir"])
        incident = registry.incident(state.facts["incident"])
        bundle, verdict = state.read("bundle"), state.read("verdict")
        reason = (args["break_glass_reason"] or "").strip() or None
        draft = incident.plan(bundle, verdict, reason)
        recorded = find_plan(state.facts["record_dir"], str(args["approve"] or "").strip())
        self._open_record(state, _same_incident(recorded, incident, verdict), bool(draft["steps"]))
        record, seen = state.record(), looks.locks_seen(state)
        used = used_digests(record, seen)
        plan = plans.finish(incident, verdict, draft, now(), used)
        asked = Asked(incident, verdict, draft, plan, used, recorded)
        state.keep("plan", plan)
        state.keep("holders", holders(seen, plan["scopes"]))
        if plan["steps"]:
            record.write(f"plan-{plan['digest']}.json", json.dumps(plan, indent=1))
        record.append("plan", {key: plan[key] for key in ("digest", "expires_at", "steps", "withheld")})
        answer = {"act": False, "resumed": False, "digest": plan["digest"], "steps": [], "put_back": [], "token": None}
        answer.update(record_path=record.path, scopes=plan["scopes"], basis=plan["basis"])
        if args["approve"] is None or state.facts["check_mode"] or state.facts["replay"]:
            return answer
        try:
            approval = approved(args["approve"], asked, state.facts)
            if approval.resumed and reason is None and any(step["overrides"] for step in approval.plan["steps"]):
                raise Refusal(
                    f"{str(args['approve']).strip()} holds break-glass steps. To resume it, give "
                    "incident_break_glass_reason again. Nothing was done."
                )
            if not approval.plan["scopes"]:
                raise Refusal("It is not known what to lock for this plan, so nothing was done.")
            lock_first = next(iter(bundles.answered(bundle, incident.sources)), None)
            if lock_first is None:
                raise Refusal("No host of the inventory answers, so the lock cannot be taken. Nothing was done.")
        except Refusal as refusal:
            state.keep("refused", {"lines": str(refusal).splitlines()})
            record.append("note", {"refused": str(refusal)})
            raise
        chosen = approval.plan
        if not approval.resumed and chosen["digest"] != plan["digest"]:
            # What the approved plan leaves out stands in the record beside it.
            record.append("note", {"approved_differs_from_now": plans.difference(chosen, plan)})
        gate = {
            "token": secrets.token_hex(16),
            "controller_pid": os.getppid(),
            **{key: chosen[key] for key in ("digest", "steps", "put_back", "scopes", "basis")},
            "resumed": approval.resumed,
            "break_glass_reason": reason,
            "lock_first": lock_first,
        }
        state.keep("gate", {**gate, "plan": chosen})
        shown = ("token", "digest", "steps", "put_back", "scopes", "basis", "resumed", "lock_first")
        return {**answer, "act": True, **{key: gate[key] for key in shown}}

    def _open_record(self, state: RunState, recorded: Recorded | None, has_steps: bool) -> None:
        """Evidence is on the disk before anything can act on it.

        Where all is well and nothing is planned there is nothing to keep. A run that comes back with a digest goes on in
        the record of its plan.
        """
        facts, verdict = dict(state.facts), state.read("verdict")
        if facts["check_mode"] or facts["replay"]:
            return
        if verdict["status"] == "healthy" and not has_steps and recorded is None:
            return
        name = record_name(facts["incident"], verdict["subject"], verdict["started_at"] or facts["started_at"])
        record, problem = open_record(facts["record_dir"], recorded.name if recorded else name, facts["run"])
        try:
            if problem is None:
                record.append(
                    "run_started", {"who": facts["who"], "at": facts["started_at"], "target": facts["target"]}
                )
                record.evidence(f"evidence-{facts['run']}.json", state.read("bundle"))
                kept = ("status", "severity", "causes", "summary", "subject", "details")
                record.append("verdict", {key: verdict[key] for key in kept})
        except (Refusal, OSError) as error:
            record, problem = Record(None, facts["run"]), str(error)
        if problem:
            # The diagnosis goes on without a record; nothing can be acted on.
            self._display.warning(f"No record is kept: {problem}. Nothing can be acted on until it can be written.")
        facts.update(record_path=record.path, record_problem=problem)
        state.keep("run", facts)
        state.facts = facts


def _same_incident(recorded: Recorded | None, incident: Incident, verdict: Data) -> Recorded | None:
    """``recorded`` where it is of this incident: a digest that was mixed up must not bring this run into another's record."""
    mine = (incident.full_name, verdict["subject"])
    return recorded if recorded is not None and (recorded.plan["incident"], recorded.plan["subject"]) == mine else None


def approved(given: t.Any, asked: Asked, facts: Data) -> Approval:
    """The plan that this digest lets us carry out, or Refusal with the reason that a person needs."""
    problem = plans.invalid_digest(given)
    if problem:
        raise Refusal(problem)
    digest = str(given).strip()
    if facts.get("record_problem"):
        raise Refusal(f"Nothing was done: the record cannot be written ({facts['record_problem']}).")
    same = plans.approved_by(digest, asked.incident, asked.verdict, asked.draft, now(), asked.used)
    if same is not None and not same["steps"]:
        raise Refusal(f"{digest} is a plan without steps: there is nothing to approve.")
    if same is not None and digest not in asked.used:
        return Approval(same, False)
    if asked.recorded is None:
        if digest in asked.used:
            raise Refusal(
                f"{digest} was used before, and its record is not under {facts['record_dir']}. Nothing was done. Approve "
                "the plan printed now."
            )
        raise Refusal(
            f"{digest} approves a plan that this run does not know. Nothing was done: something changed since it was "
            "printed, it expired, or it is another incident's. Read the plan printed now and approve that one."
        )
    return _resumed(digest, asked, asked.recorded)


def _resumed(digest: str, asked: Asked, recorded: Recorded) -> Approval:
    """A plan that is on record and is not the plan of now: it is resumed where a run that used it was cut off."""
    if recorded.outcome is not None:
        raise Refusal(
            f"{digest} was used before (that run ended: {recorded.outcome}). Nothing was done. Approve a new plan."
        )
    if digest in asked.used and not recorded.approved:
        raise Refusal(
            f"{digest} was used before, by a run whose record is not here. Nothing was done. Approve the plan printed now."
        )
    unused = not recorded.approved and digest not in asked.used
    if unused and plans.still_valid(asked.incident, recorded.plan, asked.plan, asked.verdict, now()):
        return Approval(recorded.plan, False)
    left = (
        plans.remaining(asked.incident, recorded.plan, asked.plan, asked.verdict, now()) if recorded.approved else None
    )
    if left is not None and recorded.silent_s > RESUME_S:
        raise Refusal(
            f"{digest} was approved for a run that was cut off {recorded.silent_s // 60} minutes ago, which is too long "
            "to go on under it. Nothing was done. Approve a new plan."
        )
    if left is not None:
        return Approval(left, True)
    difference = "\n".join(f"  {line}" for line in plans.difference(recorded.plan, asked.plan))
    raise Refusal(
        f"Something changed since {digest} was printed, so it no longer matches. Nothing was done.\n{difference}"
    )


def used_digests(record: Record, seen: dict[str, Data]) -> list[str]:
    """Digests that approved a run before, as the hosts and the record know them."""
    known = {str(entry["data"].get("digest")) for entry in record.entries() if entry["kind"] == "approved"}
    return sorted(known.union(*(answer["used"] for answer in seen.values())))


def holders(seen: dict[str, Data], scopes: t.Sequence[str]) -> list[str]:
    """A line for each run that holds a lock of these scopes now, with the hosts it holds it on."""
    held: dict[tuple[str, str], tuple[Data, list[str]]] = {}
    for host, answer in sorted(seen.items()):
        for lock in answer["locks"]:
            if lock["scope"] in scopes:
                held.setdefault((lock["scope"], str(lock["owner"])), (lock, []))[1].append(host)
    return [
        f"The lock of {scope} is held by {owner or 'an unreadable lock file'} ({lock['who'] or 'unknown'}, "
        f"{lock['age_s']} s ago) on {', '.join(hosts)}: another responder acts, or died while it did."
        for (scope, owner), (lock, hosts) in held.items()
    ]
