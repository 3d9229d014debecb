# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of any incident: their digest, what differs between two, what is left of one after a killed run. PRIVATE.

An incident gives a draft: ``scopes`` (what a run that acts locks), ``basis`` (what the approval is bound to), ``steps``,
``withheld``, ``messages``, ``decision``; where its actions change something for a time only, ``put_back``; and where no
automation may act at all, ``stopped_by``, the reason. The path
makes a plan of it: it numbers the steps, sets the expiry and the digest, and puts the digest in where a text names it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import typing as t

from ..evidence.values import seconds, stamp
from ..incident import Incident
from .action import Actions, undoes

SCHEMA = "virtengine.incident.plan/2"

Plan = dict[str, t.Any]
Step = dict[str, t.Any]

DIGEST_HEX = 16
_DIGEST = re.compile(rf"[a-z][a-z0-9_]{{0,40}}-[0-9a-f]{{{DIGEST_HEX}}}")
# Stands in the undo of a step for the digest, after which what the step keeps aside is named.
DIGEST_MARK = "{digest}"
# A plan that expires does so on a full minute, so that a later run finds the same digest without a record of the first.
EXPIRY_GRID_S = 60


def canonical(value: t.Any) -> str:
    """JSON that two machines write alike: keys sorted, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def step(
    action: str,
    what: str,
    hosts: t.Sequence[str],
    *,
    why: str,
    undo: str,
    risk: str,
    parameters: t.Optional[dict[str, t.Any]] = None,
    impact: t.Optional[dict[str, t.Any]] = None,
    overrides: t.Sequence[str] = (),
) -> Step:
    """A step of a draft.

    ``what``: action and hosts in words. ``parameters``: everything that changes what the step does. ``impact``: ``label``,
    ``before``, ``after`` and ``needed`` of what it takes or brings, None where it changes nothing that is counted.
    ``overrides``: open guards that a person overrides with break-glass for this step.
    """
    return {
        "action": action,
        "what": what,
        "hosts": list(hosts),
        "parameters": dict(parameters or {}),
        "why": why,
        "impact": impact,
        "undo": undo,
        "risk": risk,
        "overrides": sorted(overrides),
    }


def finish(incident: Incident, verdict: dict[str, t.Any], draft: Plan, now: str, used: t.Collection[str] = ()) -> Plan:
    """The plan that ``draft`` makes at the time ``now`` (RFC 3339), under a digest that is none of ``used``.

    ``used``: digests that approved a run before. The same steps may be right again on the same basis, after a run that
    failed; a used digest approves nothing, so the new plan needs another one.
    """
    valid_until = _expiries(incident, now)
    return _finished(incident, verdict, draft, valid_until[-1] if valid_until else None, used)


def approved_by(
    given: str, incident: Incident, verdict: dict[str, t.Any], draft: Plan, now: str, used: t.Collection[str]
) -> t.Optional[Plan]:
    """The plan that ``draft`` makes and that has the digest ``given``, where it has not expired at ``now``; else None."""
    for expires_at in _expiries(incident, now) or [None]:
        plan = _finished(incident, verdict, draft, expires_at, used)
        if plan["digest"] == given:
            return plan
    return None


def _expiries(incident: Incident, now: str) -> list[t.Optional[str]]:
    """The ends of validity that a plan printed before ``now``, and still valid, can have; the one of now is the last."""
    begun = seconds(now)
    if incident.valid_s is None or begun is None:
        return []
    first, last = (math.floor(moment / EXPIRY_GRID_S) + 1 for moment in (begun, begun + incident.valid_s))
    return [stamp(float(minute * EXPIRY_GRID_S)) for minute in range(first, last + 1)]


def _finished(
    incident: Incident,
    verdict: dict[str, t.Any],
    draft: Plan,
    expires_at: t.Optional[str],
    used: t.Collection[str],
) -> Plan:
    plan: Plan = {
        "schema": SCHEMA,
        "kind": incident.kind,
        "incident": incident.full_name,
        "subject": verdict["subject"],
        "expires_at": expires_at,
        "put_back": [],
        "stopped_by": None,
        **draft,
        "steps": [{"number": place, **made} for place, made in enumerate(draft["steps"], start=1)],
        "attempt": 0,
    }
    plan["digest"] = digest(plan)
    while plan["steps"] and plan["digest"] in used:
        plan["attempt"] += 1
        plan["digest"] = digest(plan)
    # Put into the texts only now: the digest covers what is done, not the words about it.
    plan["steps"] = [dict(made, undo=made["undo"].replace(DIGEST_MARK, plan["digest"])) for made in plan["steps"]]
    return plan


def identity(made: Step) -> list[t.Any]:
    """What a step does, and to whom: the part of it that a person approves."""
    return [made["action"], list(made["hosts"]), made["parameters"], list(made["overrides"])]


def digest(plan: Plan) -> str:
    """The plan's name: the incident's name, a dash, and 16 hex digits of SHA-256.

    It covers schema, kind, full name, subject, scopes, basis, expiry, attempt and, of every step and of what is put back at
    the end, action, hosts, all parameters and overridden guards, in their order. Explanations and figures are left out.
    The name in front keeps YAML from reading it as a number.
    """
    body = {
        **{
            key: plan[key]
            for key in ("schema", "kind", "incident", "subject", "scopes", "basis", "expires_at", "attempt")
        },
        "steps": [identity(made) for made in plan["steps"]],
        "put_back": [identity(made) for made in plan["put_back"]],
    }
    name = str(plan["incident"]).rpartition(".")[2]
    return f"{name}-{hashlib.sha256(canonical(body).encode('ascii')).hexdigest()[:DIGEST_HEX]}"


def invalid_digest(given: t.Any) -> t.Optional[str]:
    """Why ``given`` cannot be a digest, in words for the person who typed it, or None where it has the right form."""
    form = (
        f"A digest is the incident's name, a dash and {DIGEST_HEX} characters out of 0-9 and a-f, as the plan shows it."
    )
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        return f"incident_approve holds no text. {form} Nothing was done."
    if not isinstance(given, str):
        return (
            f"incident_approve arrived as the number {given!r:.40}. {form} Copy it whole, with its name; in a file, "
            "put it in quotes. Nothing was done."
        )
    if _DIGEST.fullmatch(given.strip()) is None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in given.strip()[:60])
        return (
            f"incident_approve is {shown!r}, which is no digest. {form} Copy it whole from the plan. Nothing was done."
        )
    return None


def describe(made: Step) -> str:
    """One step in a few words, for lists of differences."""
    values = _named({name: value for name, value in made["parameters"].items() if value is not None})
    return f"{made['what']}{f' ({values})' if values else ''}{' [break-glass]' if made['overrides'] else ''}"


def difference(approved: Plan, fresh: Plan) -> list[str]:
    """What changed between the plan that was approved and the one made now. Plain lines; empty where nothing did."""
    lines = [
        f"{key}: {_shown(approved[key])} then, {_shown(fresh[key])} now"
        for key in ("incident", "subject", "scopes")
        if approved[key] != fresh[key]
    ]
    then, now = approved["basis"], fresh["basis"]
    lines += [
        f"{name.replace('_', ' ')}: {_shown(then.get(name))} then, {_shown(now.get(name))} now"
        for name in dict.fromkeys((*then, *now))
        if then.get(name) != now.get(name)
    ]
    before = [identity(made) for made in approved["steps"]]
    after = [identity(made) for made in fresh["steps"]]
    for made in approved["steps"]:
        if identity(made) not in after:
            reason = next((entry["why"] for entry in fresh["withheld"] if _same_act(entry, made)), None)
            lines.append(f"no longer planned: {describe(made)}" + (f": {reason}" if reason else ""))
    lines.extend(f"new: {describe(made)}" for made in fresh["steps"] if identity(made) not in before)
    if not lines and before != after:
        lines.append("the steps come in another order or number")
    was, is_now = ([identity(made) for made in plan["put_back"]] for plan in (approved, fresh))
    if not lines and was != is_now:
        lines.append("what is put back at the end is not the same")
    if not lines and approved["attempt"] != fresh["attempt"]:
        lines.append("the steps are the same, but their digest was used since")
    if not lines and approved["expires_at"] != fresh["expires_at"]:
        lines.append(f"it was valid until {_shown(approved['expires_at'])}")
    if not fresh["steps"] and fresh["decision"]:
        lines.append(f"now: {fresh['decision']}")
    return lines


def is_suffix(recorded_steps: list[Step], fresh_steps: list[Step]) -> bool:
    """Whether ``fresh_steps`` are the last ones of ``recorded_steps``, in order. True for none: nothing is left."""
    if not fresh_steps:
        return True
    recorded = [identity(made) for made in recorded_steps]
    return recorded[-len(fresh_steps) :] == [identity(made) for made in fresh_steps]


def is_whole(plan: t.Any, digest_given: str) -> bool:
    """Whether something read from a file is the plan of this digest, with everything that a plan has.

    A file may have been changed; the digest that a person gave back is what they approved.
    """
    try:
        named = plan["digest"] == digest_given == digest(plan)
        numbered = [made["number"] for made in plan["steps"]] == list(range(1, len(plan["steps"]) + 1))
        whole = all(
            made.keys() >= _OF_A_STEP
            for made in (*plan["steps"], *plan["withheld"], *plan["put_back"])
            if "why" in made
        )
        return bool(named and numbered and whole and plan.keys() >= _OF_A_PLAN)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


_OF_A_STEP = {"action", "what", "hosts", "why"}
_OF_A_PLAN = {"messages", "decision", "stopped_by", "attempt"}


def still_valid(incident: Incident, recorded: Plan, fresh: Plan, verdict: dict[str, t.Any], now: str) -> bool:
    """Whether a plan on record, which no run used yet, may be carried out although the plan made now has other steps.

    Of an incident whose plans expire: what a step names comes and goes by the second, while its basis stays. The recorded
    plan holds where it is one that could have been printed within the time that plans are valid, on the same basis, none
    of its steps is withheld now, and each is covered by one that is planned now, in the same order. Its own steps are what
    is done: nothing is added that was not approved.
    """
    if recorded["expires_at"] not in _expiries(incident, now) or not recorded["steps"]:
        return False
    if verdict["status"] not in incident.plans_for or not _comparable(recorded, fresh, verdict, now):
        return False
    if [identity(made) for made in recorded["put_back"]] != [identity(made) for made in fresh["put_back"]]:
        return False
    if any(_same_act(entry, made) for entry in fresh["withheld"] for made in recorded["steps"]):
        return False
    left = iter(fresh["steps"])
    return all(any(_covered(incident, made, candidate) for candidate in left) for made in recorded["steps"])


def _covered(incident: Incident, recorded: Step, fresh: Step) -> bool:
    """An incident says which parameters may differ; action, hosts and overridden guards may not."""
    same = all(recorded[key] == fresh[key] for key in ("action", "hosts", "overrides"))
    return same and incident.covers(recorded, fresh)


def _comparable(recorded: Plan, fresh: Plan, verdict: dict[str, t.Any], now: str) -> bool:
    """Whether a recorded plan is about what the plan of now is about, and may be thought of at all."""
    same = all(recorded[key] == fresh[key] for key in ("schema", "kind", "incident", "subject", "scopes", "basis"))
    return same and bool(recorded["scopes"]) and verdict["confirmed"] and not fresh["stopped_by"]


def remaining(incident: Incident, recorded: Plan, fresh: Plan, verdict: dict[str, t.Any], now: str) -> t.Optional[Plan]:
    """The plan that a killed run goes on with under the digest it was approved with, or None: that approval is void.

    ``recorded``: the approved plan. ``fresh`` and ``verdict``: made now. Two states let the recorded plan live on: its
    basis is what it was, and what is planned now is the tail of what was planned; or things changed as the plan was meant
    to change them, because the killed run did enough. It is returned whole: the check before each step passes over
    what is done, and the verification still asks for everything that was acted on.
    """
    same = all(recorded[key] == fresh[key] for key in ("incident", "subject", "scopes"))
    expired = recorded["expires_at"] is not None and (seconds(recorded["expires_at"]) or 0.0) <= (seconds(now) or 0.0)
    if not same or expired or not recorded["scopes"] or not verdict["confirmed"] or fresh["stopped_by"]:
        return None
    if incident.moved_on(recorded, verdict):
        return recorded
    if verdict["status"] not in incident.plans_for or recorded["basis"] != fresh["basis"]:
        return None
    asked_for, wanted = (_lasting(incident.actions, plan["steps"]) for plan in (recorded, fresh))
    void = any(_same_act(entry, made) for entry in fresh["withheld"] for made in asked_for)
    return recorded if is_suffix(asked_for, wanted) and not void else None


def _lasting(actions: Actions, steps: list[Step]) -> list[Step]:
    """The steps that do not only take back what others of the same plan changed."""
    return [made for made in steps if not undoes(actions, made["action"])]


def _same_act(entry: Step, made: Step) -> bool:
    return entry["action"] == made["action"] and bool(set(entry["hosts"]) & set(made["hosts"]))


def _named(values: dict[str, t.Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in values.items())


def _shown(value: t.Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return _named(value)
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)
