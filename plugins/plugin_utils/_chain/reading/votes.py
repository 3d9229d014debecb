# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who voted, for what, and when: the union of what all views show. PRIVATE to the reading."""

from __future__ import annotations

import functools
import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ..._path.evidence import values
from ..._path.text import clean
from ..node import Part, Rpc, consensus_address
from .blocks import Source, ValidatorSet
from .types import PRECOMMIT, PREVOTE, Vote, Witness

# CometBFT p2p/conn/connection.go: a connection is pinged every 60 s and given up 45 s later. Until then a node shows
# peers that may be cut off, so what it knows of them is no witness of a shorter halt.
DEAD_PEER_S = 105.0

HRS = tuple[int, int, int]


@dataclass
class VoteBook:
    """Votes by address, and what the rounds of the present height look like."""

    chosen: ValidatorSet = ()  # the validator set that counts
    height: t.Optional[int] = None  # of the present rounds
    round: t.Optional[int] = None  # the newest seen at that height
    front: tuple[int, int] = (-1, 0)  # newest round and step that anybody's vote has reached
    steps: tuple[int, ...] = ()  # the step every view of that height stands in
    rounds_grow: bool = False
    views: tuple[str, ...] = ()  # names of our nodes that show the present rounds
    most_seen: int = 0  # greatest power whose votes of the newest round and step a single view shows
    signed: dict[str, int] = field(default_factory=dict)  # newest commit height an address voted in
    commits: tuple[int, ...] = ()  # heights of the newest commits seen, newest first
    raw: dict[str, dict[HRS, tuple[t.Any, t.Any]]] = field(default_factory=dict)
    at_height: dict[str, HRS] = field(default_factory=dict)  # newest vote at the present height
    conflicts: set[tuple[str, HRS]] = field(default_factory=set)  # two different votes for one height, round, step
    last: dict[str, Vote] = field(default_factory=dict)  # newest vote of each address, once all are read
    heard: t.Optional[VoteBook] = None  # what references show: it counts for no power, but a guard must know it

    def votes(self, address: str) -> tuple[Vote, ...]:
        """Every vote seen of an address, by height, round and step."""
        seen = self.raw.get(address, {})
        return tuple(_vote(hrs, seen[hrs]) for hrs in sorted(seen))

    def newest(self, address: str) -> t.Optional[Vote]:
        """The newest vote seen of an address."""
        return self.last.get(address)

    def disputed(self) -> frozenset[str]:
        """Addresses of which a reference shows another vote in a place than our nodes do: it may lie."""
        heard = self.heard.raw if self.heard is not None else {}
        return frozenset(
            address
            for address, votes in heard.items()
            for hrs, vote in votes.items()
            if _differ(self.raw.get(address, {}).get(hrs, (None,))[0], vote[0])
        )

    def present(self, address: str) -> t.Optional[Vote]:
        """Its newest vote at the height whose block is being made."""
        hrs = self.at_height.get(address)
        return None if hrs is None else _vote(hrs, self.raw[address][hrs])


def _differ(one: t.Any, other: t.Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one != other


def _vote(hrs: HRS, seen: tuple[t.Any, t.Any]) -> Vote:
    block = _block(seen[0]) if isinstance(seen[0], str) else None
    return Vote(hrs[0], hrs[1], hrs[2], values.seconds(seen[1]), block)


@functools.lru_cache(maxsize=1024)
def _block(fingerprint: str) -> t.Optional[str]:
    """Remembered, for most votes are for the same few blocks."""
    return clean(fingerprint, 64) or None


def agreed_set(answering: list[Source], height: t.Optional[int], notes: list[str]) -> ValidatorSet:
    """The validator set at the newest height; where views differ, the one most of our nodes there show.

    Of equally many it is the one whose nodes hold more voting power in it. A reference is asked only where none of our
    nodes shows a set. Empty where nobody shows one.
    """
    for ours in (True, False):
        counts: dict[ValidatorSet, list[int]] = {}
        for near in (True, False):
            for source in answering:
                at_top = source.height is not None and height is not None and source.height >= height
                members = source.members if source.ours is ours and at_top is near else None
                if members is None:
                    continue
                weight = counts.setdefault(members, [0, 0])
                weight[0] += 1
                weight[1] += dict(members).get(source.rpc.status.address("address") or "", 0)
            if counts:
                break
        if len(counts) > 1:
            notes.append("The nodes show different validator sets; the one most of them show is taken.")
        if counts:
            return min(counts, key=lambda members: (-counts[members][0], -counts[members][1], members))
    return ()


def read_votes(
    by_look: list[list[Source]], chosen: ValidatorSet, height: t.Optional[int], support: int = 1
) -> VoteBook:
    """Everything the views of one or two looks (oldest first) show of votes.

    ``support``: how many views have to show a vote. More than one where all nodes are outside the inventory: one may lie.
    """
    book = VoteBook(chosen)
    if not by_look or height is None:
        return book
    views = {entry.name: entry for entry in by_look[-1] if entry.ours and _present(entry, height) is not None}
    heights = {at for entry in views.values() if (at := _present(entry, height)) is not None}
    if heights:
        # The next block is one above the newest; answers of a moving chain, seconds apart, may be further on.
        book.height = max((at for at in heights if at <= height + 1), default=max(heights))
    for seen in by_look:
        for entry in seen:
            if entry.ours:
                _collect(book, entry, chosen)
            else:
                book.heard = book.heard or VoteBook(chosen)
                _collect(book.heard, entry, chosen)
                _commits(book.heard, entry.rpc, height)
    commits: set[int] = set()
    for entry in by_look[-1]:
        if entry.ours:
            commits.update(_commits(book, entry.rpc, height))
    if support > 1:
        _drop_unsupported(book, by_look, height, support)
    _rounds(book, by_look, views)
    book.commits = tuple(sorted(commits, reverse=True)[:5])
    book.last = {address: _vote(max(seen), seen[max(seen)]) for address, seen in book.raw.items() if seen}
    return book


def _drop_unsupported(book: VoteBook, by_look: list[list[Source]], height: int, support: int) -> None:
    """Of each vote keep what most sources show of it; leave out those that fewer than ``support`` show alike."""
    shown: dict[tuple[str, HRS], dict[tuple[t.Any, t.Any], set[str]]] = {}
    for look in by_look:
        for entry in look:
            alone = VoteBook(book.chosen)
            _collect(alone, entry, book.chosen)
            _commits(alone, entry.rpc, height)
            for address, votes in alone.raw.items():
                for hrs, vote in votes.items():
                    shown.setdefault((address, hrs), {}).setdefault(vote, set()).add(entry.name)
    book.raw, book.conflicts = {}, set()
    for (address, hrs), contents in shown.items():
        corroborated = {vote: names for vote, names in contents.items() if len(names) >= support}
        if corroborated:
            best = max(corroborated, key=lambda vote: (len(corroborated[vote]), str(vote)))
            book.raw.setdefault(address, {})[hrs] = best
        if len({vote[0] for vote in corroborated if isinstance(vote[0], str)}) > 1:
            book.conflicts.add((address, hrs))
    for address in list(book.signed):
        signed = [hrs[0] for hrs in book.raw.get(address, {}) if hrs[2] == PRECOMMIT and hrs[0] <= book.signed[address]]
        book.signed[address] = max(signed, default=-1)


def _present(entry: Source, height: int) -> t.Optional[int]:
    """The height an RPC makes a block for, where it goes with the newest block (step 8 is still at that block)."""
    at = entry.rpc.consensus.integer("height")
    return at if at is not None and height <= at <= height + 3 else None


def _rounds(book: VoteBook, by_look: list[list[Source]], views: dict[str, Source]) -> None:
    at_height = {name: entry for name, entry in views.items() if entry.rpc.consensus.integer("height") == book.height}
    book.views = tuple(sorted(at_height))
    rounds = {name: entry.rpc.consensus.integer("round") for name, entry in at_height.items()}
    book.round = max((number for number in rounds.values() if number is not None), default=None)
    book.steps = tuple(
        sorted(step for entry in at_height.values() if (step := entry.rpc.consensus.integer("step")) is not None)
    )
    if len(by_look) == 2:
        for entry in by_look[0]:
            then, now = entry.rpc.consensus.integer("round"), rounds.get(entry.name)
            if (
                entry.ours
                and entry.rpc.consensus.integer("height") == book.height
                and then is not None
                and now is not None
            ):
                book.rounds_grow = book.rounds_grow or now > then
    for address, seen in book.raw.items():
        here = [hrs for hrs in seen if hrs[0] == book.height]
        if here:
            book.at_height[address] = max(here)
            book.front = max(book.front, max(here)[1:])
    book.most_seen = max((_front_power(entry, book) for entry in at_height.values()), default=0)


def _front_power(entry: Source, book: VoteBook) -> int:
    """Power of the votes of the newest round and step that one node holds."""
    if entry.members is None or entry.members != book.chosen or book.height is None:
        return 0
    alone = VoteBook()
    _collect(alone, entry, entry.members)
    front = (book.height, *book.front)
    return sum(power for address, power in entry.members if front in alone.raw.get(address, {}))


def _collect(book: VoteBook, source: Source, chosen: t.Optional[ValidatorSet]) -> None:
    shown, members = source.rpc.consensus, source.members
    height = shown.integer("height")
    if height is not None and members is not None and members == chosen:
        for entry in shown.mappings("rounds"):
            number = entry.integer("round")
            if number is not None and number >= 0:
                for key, step in (("prevotes", PREVOTE), ("precommits", PRECOMMIT)):
                    _indexed(book, entry.items(key), members, (height, number, step))
    last = shown.inner("last_commit")
    if last is not None:
        number, height = last.integer("round"), last.integer("height")
        if number is not None and height is not None:
            for row in last.items("votes"):
                if isinstance(row, list) and len(row) == 3:
                    _keep(book, row[0], (height, number, PRECOMMIT), row[1], row[2])


def _indexed(book: VoteBook, rows: list[t.Any], members: ValidatorSet, hrs: HRS) -> None:
    for row in rows:
        if not isinstance(row, list) or len(row) != 3 or not isinstance(row[0], int) or isinstance(row[0], bool):
            continue
        if 0 <= row[0] < len(members):
            _keep(book, members[row[0]][0], hrs, row[1], row[2])


def _keep(book: VoteBook, address: t.Any, hrs: HRS, block: t.Any, at: t.Any) -> None:
    """The same vote is in every view. Where views differ, the one with the later time is kept."""
    if not isinstance(address, str):
        return
    seen = book.raw.setdefault(address, {})
    known = seen.get(hrs)
    if known is None:
        seen[hrs] = (block, at)
        return
    if known == (block, at):
        return
    if _differ(block, known[0]):
        book.conflicts.add((address, hrs))
    if _later((block, at), known):
        seen[hrs] = (block, at)


def _later(one: tuple[t.Any, t.Any], other: tuple[t.Any, t.Any]) -> bool:
    return (values.seconds(one[1]) or 0.0, clean(one[0])) > (values.seconds(other[1]) or 0.0, clean(other[0]))


def _commits(book: VoteBook, rpc: Rpc, height: int) -> list[int]:
    heights = []
    for commit in rpc.commits.mappings("commits")[:5]:
        at, number = commit.integer("height"), commit.integer("round")
        if at is None or not height - 20 <= at <= height + 3:
            continue
        heights.append(at)
        digest = commit.text("block_hash")
        block = digest[:12] if digest else None
        for key, voted in (("signed", block), ("nil", "nil")):
            for row in commit.items(key):
                address = consensus_address(row[0]) if isinstance(row, list) and len(row) == 2 else None
                if address is not None:
                    _keep(book, address, (at, max(0, number or 0), PRECOMMIT), voted, row[1])
                    book.signed[address] = max(at, book.signed.get(address, 0))
    return heights


def references(
    newest: list[Source], book: VoteBook, everybody: frozenset[str], all_outside: bool
) -> t.Iterator[Witness]:
    """RPCs outside the inventory that stand at the present height, and whose votes they lack.

    ``all_outside``: every source is one of them.
    """
    for entry in newest:
        has = None if (entry.ours and not all_outside) or book.height is None else _reference_has(entry, book)
        if has is not None and book.height is not None:
            yield Witness(entry.name, "reference", book.height, has, everybody - has)


def outside_peers(
    newest: list[Source], book: VoteBook, own: tuple[set[str], int], age_s: t.Optional[float]
) -> t.Iterator[Witness]:
    """Peers of our nodes that are not ours, and whose votes they lack at the present height.

    ``own``: the node ids of our hosts, and how many of our hosts showed none. So many of the peers may be ours: what
    peers lack counts only where more of them than that lack it.
    """
    if age_s is None or age_s < DEAD_PEER_S or book.height is None:
        return
    peers: dict[str, set[str]] = {}
    everybody: frozenset[str] = frozenset()
    for entry in newest:
        if entry.ours and entry.name in book.views and entry.members is not None and entry.members == book.chosen:
            everybody = frozenset(address for address, _power in entry.members)
            _peers(entry, book, peers)
    outside = {node: has for node, has in peers.items() if node not in own[0]}
    lacking = Counter(address for has in outside.values() for address in everybody - has)
    enough = frozenset(address for address, times in lacking.items() if times > own[1])
    for node, has in sorted(outside.items()):
        yield Witness(f"peer {node[:10]}", "peer", book.height, frozenset(has), (everybody - has) & enough)


def _reference_has(source: Source, book: VoteBook) -> t.Optional[frozenset[str]]:
    if source.members is None or source.rpc.consensus.integer("height") != book.height:
        return None
    seen = VoteBook()
    _collect(seen, source, source.members)
    return frozenset(address for address, votes in seen.raw.items() if any(hrs[0] == book.height for hrs in votes))


def _peers(source: Source, book: VoteBook, peers: dict[str, set[str]]) -> None:
    members = source.members or ()
    for peer in source.rpc.consensus.mappings("peers"):
        node = peer.text("node_id")
        if not node or peer.integer("height") != book.height or peer.integer("round") != book.round:
            continue
        bits = [text for key in ("prevotes", "precommits") if (text := _bits(peer, key, len(members))) is not None]
        if bits:
            has = peers.setdefault(node, set())
            has.update(members[place][0] for text in bits for place, bit in enumerate(text) if bit == "x")


def _bits(peer: Part, key: str, size: int) -> t.Optional[str]:
    text = peer.raw.get(key)
    return text if isinstance(text, str) and len(text) == size and set(text) <= {"x", "_"} else None
