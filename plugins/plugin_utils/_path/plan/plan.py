# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of any incident: their digest, what differs between two, what is left of one after a killed run. PRIVATE."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

SCHEMA = "virtengine.incident.plan/1"

Plan = dict[str, t.Any]
Step = dict[str, t.Any]

DIGEST_HEX = 16
_DIGEST = re.compile(rf"[a-z]+-[0-9a-f]{{{DIGEST_HEX}}}")

# An action of this name puts back what an earlier step of the same plan changed. No observation tells for certain that
# it is still due, and doing it twice changes nothing, so two plans are compared without it when a run resumes.
_PUTS_BACK = "restore_"


def canonical(value: t.Any) -> str:
    """JSON that two machines write alike: keys sorted, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def identity(step: Step) -> tuple[t.Any, ...]:
    """What a step does, and to whom: the part of it that a person approves. Values only where it changes such."""
    values = (step["expected"],) if "expected" in step else ()
    return (step["action"], step["host"], step["address"], list(step["taken_over"]), *values)


def digest(plan: Plan) -> str:
    """The plan's name: the last word of the incident, a dash, and 16 hex digits of SHA-256.

    It covers the chain, the height and hash it stands at, and what is done to whom in which order. So it dies with its
    incident. Explanations and power figures are left out. The word keeps YAML from reading the digest as a number.
    """
    body: dict[str, t.Any] = {
        "chain_id": plan["chain_id"],
        "height": plan["height"],
        "last_block_hash": plan["last_block_hash"],
        "steps": [list(identity(step)) for step in plan["steps"]],
    }
    if plan.get("attempt"):
        body["attempt"] = plan["attempt"]
    word = str(plan["incident"]).rsplit("_", maxsplit=1)[-1]
    return f"{word}-{hashlib.sha256(canonical(body).encode('ascii')).hexdigest()[:DIGEST_HEX]}"


def with_attempt(plan: Plan, spent: t.Collection[str]) -> Plan:
    """The same plan under a digest that is none of ``spent``, the digests used up before.

    The same steps may be right again at the same height, after a run that failed. A used digest approves nothing, so
    the new plan needs another one.
    """
    renewed, attempt = plan, 0
    while plan["steps"] and renewed["digest"] in spent:
        attempt += 1
        renewed = dict(plan, attempt=attempt)
        renewed["digest"] = digest(renewed)
    return renewed


def invalid_digest(given: t.Any) -> str | None:
    """Why ``given`` cannot be a digest, in words for the person who typed it, or None where it has the right form."""
    form = f"A digest is a word, a dash and {DIGEST_HEX} characters out of 0-9 and a-f, such as halt-0123456789abcdef."
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        return f"incident_approve holds no text. {form} Nothing was done."
    if not isinstance(given, str):
        return (
            f"incident_approve arrived as the number {given!r:.40}. {form} Copy it whole, with its word; in a file, "
            "put it in quotes. Nothing was done."
        )
    if _DIGEST.fullmatch(given.strip()) is None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in given.strip()[:60])
        return (
            f"incident_approve is {shown!r}, which is no digest. {form} Copy it whole from the plan. Nothing was done."
        )
    return None


def describe(step: Step) -> str:
    """One step in a few words, for lists of differences."""
    words = f"{str(step['action']).replace('_', ' ')} on {step['host']}"
    if step["address"]:
        words += f" (validator {step['address'][:12]})"
    if "expected" in step:
        words += f" ({', '.join(f'{name} {value}' for name, value in step['expected'].items()).replace('_', ' ')})"
    return words + (" [break-glass]" if step["break_glass"] else "")


def difference(approved: Plan, fresh: Plan) -> list[str]:
    """What changed between the plan that was approved and the one made now. Plain lines; empty where nothing did."""
    lines = []
    for key, name in (
        ("incident", "incident"),
        ("chain_id", "chain id"),
        ("height", "height"),
        ("last_block_hash", "last block"),
    ):
        if approved[key] != fresh[key]:
            lines.append(f"{name}: {_shown(approved[key])} then, {_shown(fresh[key])} now")
    before = [identity(step) for step in approved["steps"]]
    after = [identity(step) for step in fresh["steps"]]
    why = {(entry["action"], entry["host"]): entry["why"] for entry in fresh["withheld"]}
    for step in approved["steps"]:
        if identity(step) not in after:
            reason = why.get((step["action"], step["host"]))
            lines.append(f"no longer planned: {describe(step)}" + (f": {reason}" if reason else ""))
    lines.extend(f"new: {describe(step)}" for step in fresh["steps"] if identity(step) not in before)
    if not lines and before != after:
        lines.append("the steps come in another order or number")
    if not lines and approved.get("attempt", 0) != fresh.get("attempt", 0):
        lines.append("the steps are the same, but a digest was used up in between")
    if not fresh["steps"] and fresh["decision"]:
        lines.append(f"now: {fresh['decision']}")
    return lines


def is_suffix(recorded_steps: list[Step], fresh_steps: list[Step]) -> bool:
    """Whether ``fresh_steps`` are the last ones of ``recorded_steps``, in order. True for none: nothing is left."""
    if not fresh_steps:
        return True
    recorded = [identity(step) for step in recorded_steps]
    return recorded[-len(fresh_steps) :] == [identity(step) for step in fresh_steps]


def remaining(recorded: Plan, fresh: Plan, verdict: dict[str, t.Any]) -> Plan | None:
    """The plan that a killed run goes on with under the digest it was approved with, or None: that approval is void.

    ``recorded``: the approved plan. ``fresh`` and ``verdict``: made now. Two worlds let the recorded plan live on: the
    chain stands where it stood, and what is planned now is the tail of what was planned; or the chain moves on from
    that height, because the killed run brought enough power back. It is returned whole: the check before each step
    passes over what is done, and the verification still asks for every validator that was acted on.
    """
    same_incident = all(recorded[key] == fresh[key] for key in ("incident", "chain_id"))
    if not same_incident or recorded["chain_id"] is None or not verdict["confirmed"]:
        return None
    if verdict["status"] in ("healthy", "degraded"):
        moved = verdict["height"] is not None and verdict["height"] > recorded["height"]
        return recorded if moved else None
    stands_there = all(recorded[key] == fresh[key] for key in ("height", "last_block_hash"))
    if verdict["status"] != "incident" or not stands_there:
        return None
    asked_for = [step for step in recorded["steps"] if not puts_back(step["action"])]
    wanted = [step for step in fresh["steps"] if not puts_back(step["action"])]
    withheld = {(entry["action"], entry["host"]) for entry in fresh["withheld"]}
    void = any((step["action"], step["host"]) in withheld for step in asked_for)
    return recorded if is_suffix(asked_for, wanted) and not void else None


def puts_back(action: t.Any) -> bool:
    """Whether an action puts back what an earlier step of the same plan changed for a time."""
    return str(action).startswith(_PUTS_BACK)


def _shown(value: t.Any) -> str:
    return "unknown" if value is None else str(value)
