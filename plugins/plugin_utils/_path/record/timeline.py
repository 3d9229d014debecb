# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record's entries in words: the timeline, what was done, and how it ended. PRIVATE to the collection.

An entry may be of another version of this collection, so nothing in it is taken for granted.
"""

from __future__ import annotations

import typing as t

from ..render.layout import cut, number, tidy

Entry = dict[str, t.Any]
Data = dict[str, t.Any]


def what(data: Data) -> str:
    """What an entry about a step says that the step does, and to whom."""
    return cut(data.get("what") or data.get("action"), 100)


class Done(t.NamedTuple):
    """One action of one run, as the record tells it."""

    run: str
    step: str
    what: str
    started_at: t.Any  # RFC 3339, None where the entry lacks it
    finished_at: t.Any
    result: str


def describe(entry: Entry) -> str:
    """One entry in a sentence; a kind that is not known by its name."""
    kind = str(entry.get("kind"))
    words = _WORDS.get(kind)
    return tidy(words(data_of(entry)), 600) if words else cut(kind, 40)


def data_of(entry: Entry) -> Data:
    """What an entry carries; empty where that is no object."""
    data = entry.get("data")
    return data if isinstance(data, dict) else {}


def begun(entries: t.Iterable[Entry], digest: t.Any) -> list[list[str]]:
    """The steps of the plan with that digest that any run began, as [action, host]; ``entries``: of the journal."""
    used: set[str] = set()
    steps: list[list[str]] = []
    for entry in entries:
        run, kind, data = str(entry.get("run")), entry.get("kind"), data_of(entry)
        if kind == "approved" and data.get("digest") == digest:
            used.add(run)
        elif kind == "action_started" and run in used:
            steps += [[str(data.get("action")), str(host)] for host in _list(data.get("hosts"))]
    return steps


def outcome(entries: t.Sequence[Entry]) -> str | None:
    """How the newest run that ended did end, in the word of its entry; None where none ended."""
    ended = [data_of(entry).get("outcome") for entry in entries if entry.get("kind") == "run_finished"]
    return str(ended[-1]) if ended else None


def recovered_at(entries: t.Sequence[Entry]) -> t.Any:
    """When the newest proof of recovery was written, RFC 3339; None where there is none."""
    proofs = [
        entry.get("at")
        for entry in entries
        if entry.get("kind") == "verified" and data_of(entry).get("recovered") is True
    ]
    return proofs[-1] if proofs else None


def break_glass(entries: t.Sequence[Entry]) -> list[Entry]:
    """The approvals that carry a reason for breaking the glass."""
    return [entry for entry in entries if entry.get("kind") == "approved" and data_of(entry).get("break_glass_reason")]


def done(entries: t.Sequence[Entry]) -> list[Done]:
    """Every action of every run: finished, passed over, or begun and never told to be finished."""
    actions: list[Done] = []
    for entry in entries:
        data, run = data_of(entry), str(entry.get("run"))
        number_ = number(data.get("step"))
        if entry.get("kind") == "guard" and data.get("needed") is False:
            actions.append(Done(run, number_, what(data), entry.get("at"), entry.get("at"), "not needed any more"))
        elif entry.get("kind") == "guard" and data.get("ok") is False:
            why = f"not taken: {tidy(data.get('because'))}"
            actions.append(Done(run, number_, what(data), entry.get("at"), entry.get("at"), why))
        elif entry.get("kind") == "action_started":
            actions.append(Done(run, number_, what(data), entry.get("at"), None, "begun, its end is not on record"))
        elif entry.get("kind") == "action_finished":
            begun = next((one for one in actions if (one.run, one.step, one.finished_at) == (run, number_, None)), None)
            if begun is not None:
                actions.remove(begun)
            result = "done" if data.get("ok") is True else f"FAILED: {tidy(data.get('problem'))}"
            started = data.get("started_at") or (begun.started_at if begun else None)
            actions.append(Done(run, number_, what(data), started, data.get("finished_at") or entry.get("at"), result))
    return actions


def _named(value: t.Any) -> str:
    """A list of names in words, "none" for an empty one."""
    names = [cut(name[0] if isinstance(name, list) and name else name, 60) for name in _list(value)]
    return ", ".join(names) or "none"


def _hosts(value: t.Any) -> str:
    """The hosts of a table by host, each with what is noted of it."""
    noted = value if isinstance(value, dict) else {}
    return ", ".join(f"{cut(host, 60)} ({tidy(about, 100)})" for host, about in sorted(noted.items())) or "none"


def _list(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else []


def _run_started(data: Data) -> str:
    target = f" for the target {cut(data['target'], 80)}" if data.get("target") else ""
    return f"Run started by {cut(data.get('who'), 80)}{target}."


def _plan(data: Data) -> str:
    steps, withheld = _list(data.get("steps")), _list(data.get("withheld"))
    return f"Plan {cut(data.get('digest'), 60)}: {len(steps)} steps, {len(withheld)} withheld."


def _approved(data: Data) -> str:
    again = ", resumed after a run that was cut off" if data.get("resumed") else ""
    reason = f" Break-glass: {tidy(data.get('break_glass_reason'))}" if data.get("break_glass_reason") else ""
    return f"Plan {cut(data.get('digest'), 60)} approved by {cut(data.get('who'), 80)}{again}.{reason}"


def _lock(data: Data) -> str:
    text = f"Lock taken on {_named(data.get('taken_on'))}."
    if data.get("held_on"):
        text += f" Another responder holds it on {_named(data.get('held_on'))}."
    if data.get("not_taken"):
        text += f" Not taken: {_named(data.get('not_taken'))}."
    if data.get("digest_not_written_on"):
        text += f" The digest could not be written down on {_hosts(data.get('digest_not_written_on'))}."
    return text


def _guard(data: Data) -> str:
    if data.get("needed") is False:
        return f"Step {number(data.get('step'))}, {what(data)}: not needed any more."
    word = "guards clear" if data.get("ok") is True else "REFUSED by a guard"
    return f"Step {number(data.get('step'))}, {what(data)}: {word}. {tidy(data.get('because'))}"


def _action_finished(data: Data) -> str:
    end = "done." if data.get("ok") is True else f"FAILED: {tidy(data.get('problem'))}"
    return f"Step {number(data.get('step'))}, {what(data)}: {end}"


def _verified(data: Data) -> str:
    word = "Recovery proven" if data.get("recovered") is True else "Recovery NOT proven"
    return f"{word}: {tidy(data.get('because'), 400)}"


def _run_finished(data: Data) -> str:
    because = " ".join(tidy(line) for line in _list(data.get("because")))
    return f"Run ended: {cut(data.get('outcome'), 30).replace('_', ' ')}. {because}"


def _note(data: Data) -> str:
    if data.get("lock_broken_on"):
        return f"The lock of another run was broken on {_hosts(data.get('lock_broken_on'))}."
    if data.get("lock_left_on"):
        return f"The lock could not be given back on {_named(data.get('lock_left_on'))}."
    if data.get("put_back_on"):
        return f"What a step changed for a time was put back on {_named(data.get('put_back_on'))}."
    if data.get("not_put_back_on"):
        return f"What a step changed for a time is NOT put back on {_named(data.get('not_put_back_on'))}."
    if data.get("refused"):
        return f"Refused: {tidy(data.get('refused'), 500)}"
    return "Note: " + "; ".join(f"{cut(key, 40)}: {tidy(value)}" for key, value in data.items())


_WORDS: dict[str, t.Callable[[Data], str]] = {
    "run_started": _run_started,
    "evidence": lambda data: f"Evidence kept in {cut(data.get('file'), 80)}.",
    "verdict": lambda data: f"Verdict: {cut(data.get('status'), 20)}. {tidy(data.get('summary'), 500)}",
    "plan": _plan,
    "approved": _approved,
    "lock": _lock,
    "guard": _guard,
    "action_started": lambda data: f"Step {number(data.get('step'))}, {what(data)}: begun.",
    "action_finished": _action_finished,
    "verified": _verified,
    "run_finished": _run_finished,
    "note": _note,
}
