# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for the operators of validators that are not ours, ready to send. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._chain.reading.types import Reading, ValidatorRow
from ..._path.evidence.values import stamp
from ..._path.text import clean
from ..._path.verdict import judge
from .causes.order import CAUSES

_KEEP_SAFE = (
    "Please do it on the same host as before, with the same data folder, the same WAL and the same signing state. "
    "Do not start the key on another machine (no failover). Do not reset, roll back or restore anything. Do not delete "
    "the WAL. If the start ends with 'found signature from the same key' on that same host, double_sign_check_height "
    "must be 0 for this one start; restore it afterwards. If your node already runs, do not restart it: it holds "
    "votes in memory that the chain needs."
)


_START = (
    "Please look whether your node runs, has peers and votes. If it is stopped, start it. If it cannot start, tell us the "
    f"last lines of its log. {_KEEP_SAFE}"
)
# Where something else than missing power is the matter, another message says what to do.
_LOOK_ONLY = (
    "Please look whether your node runs, has peers and votes, and tell us the last lines of its log. Start, restart, reset "
    "and roll back nothing yet: another message of ours says what is the matter."
)
_MESSAGES = {cause.id: cause for cause in CAUSES if cause.message}


def messages(reading: Reading, causes: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """What the operators of other validators have to know; ``causes``: those of the verdict that hold.

    First one message for each group of them that does not vote, the most power first: a group is told what is known of it,
    no vote at this height, or a vote that may be old. Then, to all of them, one for each root that concerns everybody.
    """
    theirs = [row for row in reading.validators if row.owner == "theirs" and row.state != "voting" and row.power > 0]
    silent = [row for row in theirs if row.state != "voted_at"]
    voted = [row for row in theirs if row.state == "voted_at"]
    groups = [
        (silent, "missing votes", "No vote of yours for this height has been seen."),
        (
            voted,
            "votes that may be old",
            "A vote of yours for this height was seen, but it may be old. We cannot tell whether your node still runs.",
        ),
    ]
    of_all = [cause for cause in causes if cause["role"] == "root" and cause["id"] in _MESSAGES]
    sent = [_message(reading, rows, about, known, bool(of_all)) for rows, about, known in groups if rows]
    everybody = [row for row in reading.validators if row.owner == "theirs" and row.power > 0]
    for cause in of_all:
        if everybody:
            known = _MESSAGES[cause["id"]]
            words = judge.filled(known.message, cause, {"height": reading.height})
            sent.append(_about(reading, everybody, known.title, words))
    return sent


def _about(reading: Reading, rows: list[ValidatorRow], title: str, words: str) -> dict[str, t.Any]:
    rows = sorted(rows, key=lambda row: (-row.power, row.address))
    text = f"{_stands(reading)}. {words}"
    return {"to": [_addressee(row) for row in rows], "about": title, "text": text}


def _addressee(row: ValidatorRow) -> dict[str, t.Any]:
    return {"name": clean(row.name, 40), "detail": f"voting power {row.power}, {row.address}"}


def _stands(reading: Reading) -> str:
    stands = f"The chain {clean(reading.chain_id, 60)} stands still at height {reading.height}"
    if reading.last_block_at:
        stands += f"; its last block was made at {stamp(reading.last_block_at)}"
    return stands


def _message(reading: Reading, rows: list[ValidatorRow], about: str, known: str, only_look: bool) -> dict[str, t.Any]:
    rows = sorted(rows, key=lambda row: (-row.power, row.address))
    power = sum(row.power for row in rows)
    missing = max(0, reading.quorum - reading.voting)
    who = ", ".join(f"{clean(row.name, 40)} ({row.address}, voting power {row.power})" for row in rows)
    text = (
        f"{_stands(reading)}. {reading.voting} of {reading.total} voting power is voting; {reading.quorum} needed, {missing} "
        f"missing. This goes to the operators of {who}, together {power}. {known} {_LOOK_ONLY if only_look else _START}"
    )
    return {"to": [_addressee(row) for row in rows], "about": about, "text": text}
