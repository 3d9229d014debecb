# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash chain of a record: every entry names the hash of the one before it. PRIVATE to the collection.

An entry that was changed, dropped, moved or put in no longer fits its neighbours. What was cut off at the end leaves a
chain that fits: that shows only against a head hash that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass

from ..plan.plan import canonical

FIELDS = ("seq", "at", "run", "kind", "data", "prev", "hash")

# How a whole entry ends, keys being sorted. A line of a killed run is a cut one, so it does not end like this.
_WHOLE_END = re.compile(r',"run":"(?:[^"\\]|\\.)*","seq":[0-9]+\}$')


class BrokenRecord(ValueError):
    """The record does not fit together. ``what`` says how, ``line`` is the number of the line (from 1)."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(f"line {line}: {what}")
        self.what = what
        self.line = line


@dataclass(frozen=True)
class Head:
    """The end of a chain: hash and number of its last whole entry (``""`` and 0 for an empty one).

    ``torn``: after that entry stands the beginning of another one, as a run that was killed while writing leaves it.
    It is no part of the chain.
    """

    hash: str
    seq: int
    torn: bool = False


def entry(prev: str, seq: int, at: str, run: str, kind: str, data: t.Any) -> dict[str, t.Any]:
    """The entry that follows the one with hash ``prev`` (``""`` before the first, whose ``seq`` is 1).

    ``at``: RFC 3339 in UTC. ``data``: anything JSON can hold (TypeError or ValueError otherwise).
    """
    # Through text once: tuples become lists and keys become text, as they will be when the line is read again.
    body: dict[str, t.Any] = json.loads(
        json.dumps({"seq": seq, "at": at, "run": run, "kind": kind, "data": data, "prev": prev})
    )
    body["hash"] = _hash(body)
    return body


def line(made: dict[str, t.Any]) -> str:
    """An entry as its line of the journal, without the line break."""
    return canonical(made)


def verify(lines: t.Sequence[str], expected_head: str | None = None) -> Head:
    """The head of the chain that ``lines`` (without line breaks, oldest first) make.

    ``expected_head``: a head hash that was kept elsewhere. An entry of that hash must be there; where it is the last
    one, nothing was cut off since. Raises BrokenRecord for the first line that does not fit.
    """
    head = Head("", 0)
    expected_seen = expected_head is None
    for number, text in enumerate(lines, start=1):
        made = _read(text)
        if made is None:
            if number == len(lines) and _WHOLE_END.search(text) is None:
                head = Head(head.hash, head.seq, torn=True)
                break
            raise BrokenRecord("this is no entry, it was changed", number)
        _check(made, text, head, number)
        head = Head(made["hash"], made["seq"])
        expected_seen = expected_seen or head.hash == expected_head
    if not expected_seen:
        raise BrokenRecord(
            f"the entry with the head hash {expected_head} is missing: the end was cut off or written anew",
            max(1, len(lines)),
        )
    return head


def _hash(made: dict[str, t.Any]) -> str:
    body = {key: value for key, value in made.items() if key != "hash"}
    return hashlib.sha256(canonical(body).encode("ascii")).hexdigest()


def _read(text: str) -> t.Any:
    """The JSON of a line, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _check(made: t.Any, text: str, before: Head, number: int) -> None:
    if not isinstance(made, dict) or set(made) != set(FIELDS):
        raise BrokenRecord("this is no entry, it was changed", number)
    # Compared as text too: another spelling of the same JSON (a space, an escape) is a change all the same.
    if line(made) != text or made["hash"] != _hash(made):
        raise BrokenRecord("the entry does not have the hash it names, it was changed", number)
    if made["prev"] != before.hash:
        raise BrokenRecord("the entry does not follow the one before it: one was dropped, put in or moved", number)
    if made["seq"] != before.seq + 1:
        raise BrokenRecord(f"the entry has number {made['seq']}, it should be {before.seq + 1}", number)
