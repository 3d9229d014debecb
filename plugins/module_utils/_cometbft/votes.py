# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Votes as CometBFT prints them, and whose they are. PRIVATE to the collection.

The texts are those of ``Vote.String`` and ``VoteSet.StringIndented`` (CometBFT types/vote.go, types/vote_set.go). They
carry six bytes of the address and of the block hash, and six of the signature, which is left behind here.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .fields import INT64, Obj, nanoseconds, wrong

NO_VOTE = "nil-Vote"
NIL = "nil"
_NIL_BLOCK = "000000000000"
# Six bytes of the signature and, since 0.38, of the vote extension follow the block. Old builds print the type as 1, 2.
_VOTE = re.compile(
    r"Vote\{(\d{1,5}):([0-9A-F]{12}) (\d{1,19})/(\d{1,10})/(?:SIGNED_MSG_TYPE_PREVOTE|SIGNED_MSG_TYPE_PRECOMMIT|1|2)"
    r"\((Prevote|Precommit)\) ([0-9A-F]{12}) [0-9A-F]{12}(?: [0-9A-F]{12})? @ (\S{20,30})\}"
)
PREVOTE, PRECOMMIT = "Prevote", "Precommit"


@dataclass(frozen=True)
class Vote:
    """One vote. ``block``: 12 hex digits, or "nil" for a vote against the block; ``time`` as the signer wrote it."""

    index: int
    fingerprint: str
    height: int
    round: int
    kind: str
    block: str
    time: str


@dataclass
class Roll:
    """The validators at a height in the chain's order, and how many votes could not be theirs."""

    addresses: list[str]
    dropped: int = field(default=0)

    def votes(self, tokens: list[t.Any], kind: str, height: int, number: t.Optional[int]) -> list[Vote]:
        """The votes of a list whose position is the index of the validator.

        ``number``: the round they must be of, None for any. A vote of another height, round, kind or position, of a
        fingerprint that is not the validator's, or of a text that is no vote is dropped and counted.
        """
        kept = []
        for position, token in enumerate(tokens):
            if token == NO_VOTE:
                continue
            vote = parse(token)
            if vote is None or not self._fits(vote, position, kind, height, number):
                self.dropped += 1
            else:
                kept.append(vote)
        return kept

    def _fits(self, vote: Vote, position: int, kind: str, height: int, number: t.Optional[int]) -> bool:
        return (
            vote.index == position < len(self.addresses)
            and self.addresses[position].startswith(vote.fingerprint)
            and (vote.kind, vote.height) == (kind, height)
            and number in (None, vote.round)
        )


def parse(token: t.Any) -> t.Optional[Vote]:
    """A vote out of its text; None for anything else."""
    match = _VOTE.fullmatch(token) if isinstance(token, str) and token.isascii() else None
    if not match or nanoseconds(match.group(7)) is None or int(match.group(3)) > INT64:
        return None
    index, fingerprint, height, number, kind, block, time = match.groups()
    return Vote(int(index), fingerprint, int(height), int(number), kind, NIL if block == _NIL_BLOCK else block, time)


def rounds(sets: list[Obj], roll: Roll, height: int) -> list[dict[str, t.Any]]:
    """Round 0 and the three newest rounds of a vote set, each with ``[index, block, time]`` of its votes."""
    by_number: dict[int, Obj] = {}
    for entry in sets:
        number = entry.integer("round", high=2**31 - 1)
        if number in by_number:
            raise wrong(entry.where, "is a round that comes twice")
        by_number[number] = entry
    kept = sorted({0, *sorted(by_number)[-3:]} & set(by_number))
    return [
        {
            "round": number,
            "prevotes": _rows(roll.votes(by_number[number].items("prevotes"), PREVOTE, height, number)),
            "precommits": _rows(roll.votes(by_number[number].items("precommits"), PRECOMMIT, height, number)),
        }
        for number in kept
    ]


def _rows(votes: list[Vote]) -> list[list[t.Any]]:
    return [[vote.index, vote.block, vote.time] for vote in votes]


def last_commit(tokens: list[t.Any], roll: Roll, height: int) -> t.Optional[dict[str, t.Any]]:
    """The precommits for the block at ``height`` with the addresses of who gave them; None where there are none."""
    votes = roll.votes(tokens, PRECOMMIT, height, None)
    numbers = {vote.round for vote in votes}
    if len(numbers) > 1:
        raise wrong("last_commit", "holds votes of several rounds")
    if not numbers:
        return None
    rows = [[roll.addresses[vote.index], vote.block, vote.time] for vote in votes]
    return {"height": height, "round": numbers.pop(), "votes": rows}
