# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What many RPC endpoints say together: which chain, who is worth a second question, who contradicts whom, who votes.

All functions take observations of the contract (source ``cometbft_info``) in any order, and none raises for their data.
"""

from __future__ import annotations

import functools
import hashlib
import typing as t
from collections import Counter
from dataclasses import dataclass

from ..._path.evidence import values
from ..._path.text import clean
from .. import power as _power
from ..node import Part, part
from ..reading import chain_id as chain_ids
from ..reading.blocks import HALT_SECONDS, ValidatorSet, set_in

# With a connection to most of its peers, a node hears every vote within seconds: sixteen views, spread over the
# network, show what all would. Each costs some ten questions, and 1 MB of memory where there are 200 validators.
IN_FULL = 16
# Those that contradict others come on top.
MOST_IN_FULL = 24
EACH_SIDE = 2
SHOWN_URLS = 6
SHOWN_NODES = 20
SHOWN_HASHES = 6
SHOWN_HEIGHTS = 5

Observation = dict[str, t.Any]


@dataclass(frozen=True)
class View:
    """What one endpoint that answered shows. ``at``: when, by the controller's clock, in seconds since 1970."""

    url: str
    at: t.Optional[float]
    data: dict[str, t.Any]

    def part(self, name: str) -> Part:
        """A part of the contract's ``rpc`` object."""
        return part(self.data.get(name))

    @functools.cached_property
    def status(self) -> Part:
        return self.part("status")

    @property
    def height(self) -> t.Optional[int]:
        height = self.status.integer("height")
        return height if height is not None and height >= 0 else None


@dataclass(frozen=True)
class Votes:
    """Who votes, by the union of all views. ``halted``: None where the age of the newest block is not known."""

    height: int
    total: int
    quorum: int
    voting: int
    views: int
    halted: t.Optional[bool]


def views(observations: t.Iterable[Observation], chain: t.Optional[str] = None) -> list[View]:
    """The endpoints that answered, by URL; with ``chain`` only those of that chain."""
    every = [
        View(clean(entry["host"], 200), values.seconds(entry.get("at")), entry["data"])
        for entry in observations
        if entry.get("ok") is True and isinstance(entry.get("data"), dict)
    ]
    kept = [view for view in every if chain is None or view.status.text("chain_id") == chain]
    return sorted(kept, key=lambda view: view.url)


def chain_of(observations: t.Iterable[Observation], declared: t.Optional[str] = None) -> t.Optional[str]:
    """The chain that is judged: the declared one, else the one that most nodes name, of equally many the first."""
    return clean(declared, 100) if declared else chain_ids.of_references(observations)


def same_node(observations: t.Iterable[Observation]) -> list[dict[str, t.Any]]:
    """Endpoints that give the same node id: ``[{"node_id", "count", "urls"}]``, by id, with six endpoints of each.

    Either one node that has two addresses, or one that copies the id of another: none is left out for the other's sake.
    """
    named: dict[str, list[str]] = {}
    for view in views(observations):
        node_id = view.status.text("node_id")
        if node_id:
            named.setdefault(node_id, []).append(view.url)
    return [
        {"node_id": node_id, "count": len(urls), "urls": urls[:SHOWN_URLS]}
        for node_id, urls in sorted(named.items())
        if len(urls) > 1
    ][:SHOWN_NODES]


def tally(observations: t.Iterable[Observation]) -> dict[str, int]:
    """How many endpoints were asked, and how that ended: answered, late, refused, or another trouble."""
    counts = dict.fromkeys(("asked", "answered", "late", "refused", "other"), 0)
    for entry in observations:
        kind = entry["error"]["kind"] if not entry["ok"] else "answered"
        counts["asked"] += 1
        counts[kind if entry["ok"] or kind in ("late", "refused") else "other"] += 1
    return counts


def in_full(observations: t.Sequence[Observation], chain: t.Optional[str], chosen: t.Collection[str]) -> list[str]:
    """The endpoints to ask for everything next, after those ``chosen`` before.

    Half of the sample stands at the greatest heights and half at the height that most name, so that endpoints which
    claim heights that nobody has reached do not fill it. Of each side of a disagreement two are added.
    """
    every = views(observations, chain)
    heights = Counter(view.height for view in every if view.height is not None)
    if not heights:
        return []
    usual = min(heights, key=lambda height: (-heights[height], -height))
    known = [(view, view.height) for view in every if view.height is not None]
    # Spread over the network, and the same ones in the next look: neighbours in the alphabet may be one operator's.
    by_chance = sorted(known, key=lambda pair: hashlib.sha256(pair[0].url.encode("utf-8", "replace")).digest())
    newest = [view.url for view, _height in sorted(by_chance, key=lambda pair: -pair[1])]
    common = [view.url for view, _height in sorted(by_chance, key=lambda pair: (pair[1] != usual, -pair[1]))]
    wanted = [url for pair in zip(newest, common) for url in pair]
    sample: list[str] = list(dict.fromkeys(chosen))
    for url in dict.fromkeys(wanted):
        if len(sample) >= IN_FULL:
            break
        if url not in sample:
            sample.append(url)
    for entry in disagreements(observations, chain):
        for side in entry["hashes"].values():
            missing = max(0, EACH_SIDE - len([url for url in side["urls"] if url in sample]))
            sample += [url for url in side["urls"] if url not in sample][:missing]
    return sample[len(set(chosen)) : MOST_IN_FULL]


def contradicting(observations: t.Iterable[Observation], chain: t.Optional[str] = None) -> set[str]:
    """The endpoints that are named in a disagreement."""
    sides = (side for entry in disagreements(observations, chain) for side in entry["hashes"].values())
    return {url for side in sides for url in side["urls"]}


def disagreements(observations: t.Iterable[Observation], chain: t.Optional[str] = None) -> list[dict[str, t.Any]]:
    """Heights for which endpoints of one chain name different block hashes or application hashes, the newest first.

    ``[{"height", "what": "block_hash" | "app_hash", "hashes": {hash: {"count", "urls"}}, "more"}]``: at most five of
    each kind, of each the six hashes that most name, with six endpoints of each; ``more``: hashes that are left out.
    Hashes are compared at equal heights only: a node that is behind rightly has others.
    """
    named: dict[tuple[str, int], dict[str, list[str]]] = {}
    for view in views(observations, chain):
        for key, digest in _hashes(view):
            urls = named.setdefault(key, {}).setdefault(digest, [])
            if view.url not in urls[-1:]:
                urls.append(view.url)
    entries = []
    for what in ("block_hash", "app_hash"):
        heights = sorted((height for kind, height in named if kind == what and len(named[(kind, height)]) > 1))
        for height in heights[: -SHOWN_HEIGHTS - 1 : -1]:
            sides = named[(what, height)]
            order = sorted(sides, key=lambda digest: (-len(sides[digest]), digest))[:SHOWN_HASHES]
            hashes = {digest: {"count": len(sides[digest]), "urls": sides[digest][:SHOWN_URLS]} for digest in order}
            entries.append({"height": height, "what": what, "hashes": hashes, "more": len(sides) - len(order)})
    return entries


def _hashes(view: View) -> t.Iterator[tuple[tuple[str, int], str]]:
    digest = view.status.text("block_hash")
    if view.height and digest:
        yield ("block_hash", view.height), digest.upper()
    for commit in view.part("commits").mappings("commits")[:5]:
        height, digest = commit.integer("height"), commit.text("block_hash")
        if height and digest:
            yield ("block_hash", height), digest.upper()
    app = view.part("abci_info")
    height, digest = app.integer("height"), app.text("app_hash")
    if height and height > 0 and digest:
        yield ("app_hash", height), digest.upper()


def votes(observations: t.Iterable[Observation], chain: t.Optional[str] = None) -> t.Optional[Votes]:
    """Whose votes the endpoints at the newest height have seen; None where none of them shows the validator set.

    On a chain that stands, a validator votes when its vote for the next block is seen, whatever it is for. On one that
    moves the rounds have just begun: there the signature of the newest block counts as well.
    """
    known = [view for view in views(observations, chain) if view.height is not None]
    shown = [(view, members) for view in known if (members := set_in(view.part("consensus"))) is not None]
    if not shown:
        return None
    top = max(view.height or 0 for view, _members_of in shown)
    near = [(view, members) for view, members in shown if view.height == top]
    sets = Counter(members for _view, members in near)
    chosen = min(sets, key=lambda members: (-sets[members], members))
    ages = [
        view.at - moment
        for view, _members_of in near
        if view.at is not None and (moment := view.status.time("block_time")) is not None
    ]
    halted = min(ages) > HALT_SECONDS if ages else None
    seen: set[str] = set()
    for view, members in near:
        if members == chosen:
            seen |= _voted(view, members, top)
            if halted is not True:
                seen |= _signed(view, top)
    total = sum(power for _address, power in chosen)
    voting = sum(power for address, power in chosen if address in seen)
    return Votes(top, total, _power.quorum(total), voting, sets[chosen], halted)


def _voted(view: View, members: ValidatorSet, top: int) -> set[str]:
    """Addresses whose vote for the next block an endpoint holds."""
    consensus = view.part("consensus")
    height = consensus.integer("height")
    if height is None or height < top:
        return set()
    rows = [
        row for entry in consensus.mappings("rounds") for row in [*entry.items("prevotes"), *entry.items("precommits")]
    ]
    places = {row[0] for row in rows if isinstance(row, list) and row and values.integer(row[0]) is not None}
    return {members[place][0] for place in places if 0 <= place < len(members)}


def _signed(view: View, top: int) -> set[str]:
    """Addresses that voted in the commit of the newest block."""
    rows: list[t.Any] = []
    last = view.part("consensus").inner("last_commit")
    if last is not None and last.integer("height") == top:
        rows += last.items("votes")
    for commit in view.part("commits").mappings("commits")[:5]:
        if commit.integer("height") == top:
            rows += [*commit.items("signed"), *commit.items("nil")]
    return {row[0] for row in rows if isinstance(row, list) and row and isinstance(row[0], str)}
