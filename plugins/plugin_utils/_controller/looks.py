# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks of a run: their number, the pause before them, what they observed, who was seen to hold a lock. PRIVATE."""

from __future__ import annotations

import typing as t

from .._path.evidence import bundle as bundles
from .._path.evidence.values import integer, seconds
from .._path.incident import Incident
from .base import now
from .state import RunState

Data = dict[str, t.Any]

FIRST: Data = {"number": 1, "pause_s": 0}


def current(state: RunState) -> Data:
    """The look that is taken now, or comes next: ``number``, and ``pause_s`` after the one before."""
    look: Data = state.read("look") or FIRST
    return look


def turn(state: RunState, pause_s: float) -> None:
    """Go on to the next look, which follows the one before by ``pause_s`` seconds."""
    state.keep("look", {"number": current(state)["number"] + 1, "pause_s": pause_s})


def pause_left_s(state: RunState, source: str, by: str) -> float:
    """Seconds that are left of the pause before this look, counted from the same observation of the look before.

    ``by``: whose notes to look for: the host, or of a source outside the inventory its own name.
    """
    look = current(state)
    pause_s: float = look["pause_s"]
    before = [entry for noted in state.noted(f"look{look['number'] - 1}").get(by, []) for entry in noted]
    taken = max((seconds(entry["at"]) or 0.0 for entry in before if entry["source"] == source), default=None)
    passed = 0.0 if taken is None else max(0.0, (seconds(now()) or taken) - taken)
    return max(0.0, min(pause_s, pause_s - passed))


def note(state: RunState, by: str, observations: list[Data]) -> None:
    """Keep observations of the current look, all at once or one by one; ``by`` as of ``pause_left_s``."""
    state.note(f"look{current(state)['number']}", by, observations)


def add_look(state: RunState, incident: Incident) -> Data:
    """The bundle with the current look in it, kept as the run's; of the earlier ones only the last is kept, to compare with.

    A host whose task left no observation (its worker died) is in the bundle all the same, as one that did not answer.
    """
    bundle: Data = state.read("bundle")
    number = current(state)["number"]
    kept = [entry for entry in bundle["observations"] if entry["look"] == number - 1]
    seen = [entry for by in state.noted(f"look{number}").values() for noted in by for entry in noted]
    observed = {(entry["source"], entry["host"]) for entry in seen}
    lost = [
        _lost(name, host, number)
        for name, source in incident.sources.items()
        for host, known in bundle["inventory"].items()
        if known["observed"] and source.asks(known["groups"]) and (name, host) not in observed
    ]
    bundle = bundles.extend(dict(bundle, observations=kept, taken_at=now()), [*seen, *lost], incident.sources)
    state.keep("bundle", bundle)
    return bundle


def _lost(source: str, host: str, number: int) -> Data:
    error = {"kind": "failed", "text": f"{host} left no observation in this look"}
    return {"source": source, "host": host, "look": number, "at": now(), "ok": False, "error": error}


def locks_seen(state: RunState) -> dict[str, Data]:
    """Of each host, what its newest answer about locks was, as of ``locks_of``."""
    answers_of: dict[str, Data] = {}
    for look in range(1, current(state)["number"] + 1):
        answers_of.update(locks_of_look(state, look))
    return answers_of


def locks_of_look(state: RunState, number: int) -> dict[str, Data]:
    """The same, of one look alone."""
    return {host: answers[-1] for host, answers in state.noted(f"locks{number}").items()}


def locks_of(part: t.Any) -> Data:
    """A host's answer about locks as it is relied on: ``{"ok", "locks": [{"scope", "owner", "who", "age_s"}], "used": [digest]}``.

    It comes as a part, ``{"ok": true, "data": {"locks": [...], "used": [...]}}``, but a host may send anything: then it is
    not ``ok``, which is never taken for "no lock".
    """
    data = part.get("data") if isinstance(part, dict) and part.get("ok") is True else None
    known = data if isinstance(data, dict) else {}
    locks, used = _list_of(dict, known.get("locks")), _list_of(str, known.get("used"))
    if locks is None or used is None:
        return {"ok": False, "locks": [], "used": []}
    return {"ok": True, "locks": [_lock(entry) for entry in locks], "used": used}


def _list_of(kind: type, values: t.Any) -> list[t.Any] | None:
    """The values where they are a list of this kind only, else None."""
    return values if isinstance(values, list) and all(isinstance(value, kind) for value in values) else None


def _lock(entry: Data) -> Data:
    texts = {key: entry[key] if isinstance(entry.get(key), str) else "" for key in ("scope", "owner", "who")}
    return {**texts, "age_s": integer(entry.get("age_s"))}
