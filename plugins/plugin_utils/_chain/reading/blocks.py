# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose answers count, which block is the newest, how old it is, whether newer ones come. PRIVATE to the reading."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from ..._path.evidence import values
from ..._path.evidence.bundle import Bundle
from ..._path.text import clean
from .. import power as _power
from ..node import NodeEvidence, Part, Rpc, consensus_address, evidence_of, rpc_of
from ..variables import CHAIN_ID
from . import chain_id

# The runbook calls a chain halted after 30 s without a block; a chain with long blocks needs longer to be missed.
HALT_SECONDS = 30
HALT_INTERVALS = 6
# An interval above this would hide a halt for half an hour: more than any chain's usual one.
MAX_INTERVAL_S = 300.0
# Hosts' clocks that lie further apart than this do not measure the age of the same block.
CLOCK_SKEW_S = 30.0
# Answers of one look are some seconds apart, so heights differ by a few blocks.
NEAR_BLOCKS = 20
# Blocks per second that no chain of this kind makes: what lies beyond is a lie or a bug.
IMPOSSIBLE_RATE = 20
# A vote carries the signer's own clock, but never less than a millisecond after the block before it (CometBFT
# consensus/state.go, voteTime): with a clock that lags it looks a little later than it was. Clocks of validators that
# are kept by NTP differ by far less than two seconds.
VOTE_TIME_TOLERANCE_S = 2.0
# CometBFT, types/validator_set.go: MaxTotalVotingPower.
MAX_TOTAL_POWER = (2**63 - 1) // 8

ValidatorSet = tuple[tuple[str, int], ...]


@dataclass
class Source:
    """One RPC as seen in a look: a host of ours or a reference outside."""

    name: str
    ours: bool
    now: t.Optional[float]
    at: t.Optional[float]
    rpc: Rpc
    height: t.Optional[int]
    block_hash: t.Optional[str]
    block_time: t.Optional[float]
    members: t.Optional[ValidatorSet]
    outside: bool = False  # of the inventory; where no host is asked, it counts as ours all the same


@dataclass
class Looks:
    """The newest two looks, with what each host and reference gave."""

    numbers: tuple[int, ...]
    observed: dict[str, dict[int, dict[str, t.Any]]]  # host -> look -> observation
    evidence: dict[str, dict[int, NodeEvidence]]
    references: dict[str, dict[int, dict[str, t.Any]]]


@dataclass
class Chain:
    """What the sources that count agree on."""

    chain_id: t.Optional[str]
    height: t.Optional[int] = None
    block_hash: t.Optional[str] = None
    block_time: t.Optional[float] = None
    now: t.Optional[float] = None
    interval_s: t.Optional[float] = None
    threshold_s: float = float(HALT_SECONDS)
    age_s: t.Optional[float] = None
    moved: bool = False
    same_height: bool = False
    apart: bool = False
    split: bool = False
    movers: int = 0  # how many sources went beyond every height of the earlier look, if one of them is ours
    outside_movers: int = 0  # how many of them are outside the inventory
    outside_standing: int = 0  # how many of those outside show no new block
    ahead: frozenset[str] = frozenset()  # our hosts whose clock is ahead


def gather(bundle: Bundle) -> Looks:
    """Sort the observations of the newest two looks by host."""
    numbers = tuple(sorted({entry["look"] for entry in bundle["observations"]})[-2:])
    looks = Looks(numbers, {}, {}, {})
    for entry in bundle["observations"]:
        if entry["look"] not in numbers:
            continue
        if entry["source"] == "cometbft_info":
            looks.references.setdefault(entry["host"], {})[entry["look"]] = entry
            continue
        looks.observed.setdefault(entry["host"], {})[entry["look"]] = entry
        if entry["ok"]:
            looks.evidence.setdefault(entry["host"], {})[entry["look"]] = evidence_of(entry)
    return looks


def set_aside(bundle: Bundle, looks: Looks, notes: list[str]) -> tuple[t.Optional[str], dict[str, str]]:
    """The chain that is judged, and the hosts that are on another one (host -> why)."""
    shown = [entry for by_look in looks.observed.values() for entry in by_look.values()]
    # What a person declared wins over what any node shows.
    chain = (
        bundle["settings"].get(CHAIN_ID)
        or chain_id.of_hosts(shown)
        or chain_id.of_references(entry for by_look in looks.references.values() for entry in by_look.values())
    )
    aside: dict[str, str] = {}
    genesis: dict[str, str] = {}
    for host, by_look in looks.evidence.items():
        newest = by_look[max(by_look)]
        named = {newest.rpc.status.text("chain_id"), newest.genesis.text("chain_id")} - {None}
        others = sorted(name for name in named if name and chain and clean(name, 100) != chain)
        digest = newest.genesis.text("sha256")
        if others:
            aside[host] = f"{host} is on chain {others[0]}, not {chain}"
        elif digest:
            genesis[host] = digest
    counts = Counter(genesis.values()).most_common()
    if len(counts) > 1:
        if counts[0][1] > counts[1][1]:
            differ = {host for host, digest in genesis.items() if digest != counts[0][0]}
            aside.update({host: f"{host} has another genesis file than the other hosts" for host in differ})
        else:
            notes.append(
                "The hosts have different genesis files, equally many of each: which is right cannot be told here."
            )
    notes.extend(f"{why}: what it says of the chain is set aside." for _host, why in sorted(aside.items()))
    return chain, aside


def sources(
    looks: Looks, look: int, chain: t.Optional[str], aside: t.Container[str], rpc_only: bool = False
) -> list[Source]:
    """Every RPC that answered in ``look`` and counts, by name.

    ``rpc_only``: no host of ours is looked at, so the RPCs outside are the only views there are, and count as ours do.
    """
    answering = []
    for host, by_look in looks.evidence.items():
        if look in by_look and host not in aside:
            node = by_look[look]
            answering.append(_source(host, True, node.now, node.at, node.rpc))
    for name, entries in looks.references.items():
        entry = entries.get(look)
        if entry is not None and entry["ok"]:
            rpc = rpc_of(entry["data"])
            at = values.seconds(entry["at"])
            if chain is None or rpc.status.text("chain_id") == chain:
                answering.append(_source(clean(name, 100), rpc_only, at, at, rpc, outside=True))
    return sorted(answering, key=lambda source: (source.name, source.ours))


def _source(
    name: str, ours: bool, now: t.Optional[float], at: t.Optional[float], rpc: Rpc, outside: bool = False
) -> Source:
    height = rpc.status.integer("height")
    if height is not None and height < 0:
        height = None
    return Source(
        name,
        ours,
        now,
        at,
        rpc,
        height,
        rpc.status.text("block_hash"),
        rpc.status.time("block_time"),
        validator_set(rpc),
        outside,
    )


def _skews(answering: list[Source]) -> tuple[dict[str, float], float]:
    """How far our hosts' clocks are ahead of the controller's, and the middle of those and the controller's own 0."""
    skews = {entry.name: entry.now - entry.at for entry in answering if entry.ours and entry.now and entry.at}
    every = sorted([*skews.values(), 0.0])
    return skews, every[(len(every) - 1) // 2]


def wrong_clocks(answering: list[Source], notes: list[str]) -> set[str]:
    """Hosts whose clock is far from what most of the hosts and the controller agree on."""
    skews, middle = _skews(answering)
    every = sorted([*skews.values(), 0.0])
    near = [skew for skew in every if abs(skew - middle) <= CLOCK_SKEW_S]
    if 2 * len(near) <= len(every):
        if len(skews) > 1 or abs(every[-1] - every[0]) > CLOCK_SKEW_S:
            notes.append("The clocks of the hosts disagree, and which are right cannot be told here.")
        return set()
    wrong = {name for name, skew in skews.items() if abs(skew - middle) > CLOCK_SKEW_S}
    for name in sorted(wrong):
        off = round(skews[name] - middle)
        notes.append(f"The clock of {name} is {abs(off)} s {'ahead of' if off > 0 else 'behind'} the others: not used.")
    return wrong


def ahead(answering: list[Source]) -> frozenset[str]:
    """Hosts whose clock is ahead of the controller's and of what most clocks show, by more than a vote's tolerance.

    What a host says arrives later than it was stamped, so a slow answer only ever looks like a clock that is behind.
    """
    skews, middle = _skews(answering)
    return frozenset(name for name, skew in skews.items() if min(skew, skew - middle) > VOTE_TIME_TOLERANCE_S)


def validator_set(rpc: Rpc) -> t.Optional[ValidatorSet]:
    """The set an RPC shows, in the chain's order; None where it shows none that can be true."""
    return set_in(rpc.consensus) or set_in(rpc.validators)


def set_in(shown: Part) -> t.Optional[ValidatorSet]:
    """The set that one part shows under ``validators``; None where it shows none that can be true."""
    rows = shown.items("validators")
    if not shown.ok or not rows:
        return None
    pairs = [
        (consensus_address(row.get("address")), values.integer(row.get("power")))
        for row in rows
        if isinstance(row, dict)
    ]
    good = tuple((address, power) for address, power in pairs if address and power is not None and power > 0)
    distinct = len({address for address, _power_of in good}) == len(good)
    whole = len(good) == len(rows) and sum(power for _address, power in good) <= MAX_TOTAL_POWER
    return good if whole and distinct else None


def is_corroborated(source: Source, answering: list[Source]) -> bool:
    """Whether another source, or the signatures of its newest commit, corroborate the height that a source claims."""
    height = source.height
    if height is None or len([entry for entry in answering if entry.height is not None]) < 2:
        return height is not None
    if any(
        entry is not source and entry.height is not None and entry.height >= height - NEAR_BLOCKS for entry in answering
    ):
        return True
    sets = Counter(entry.members for entry in answering if entry is not source and entry.members)
    commits = source.rpc.commits.mappings("commits")
    if not sets or not commits:
        return False
    powers = dict(sets.most_common(1)[0][0])
    signed = {consensus_address(pair[0]) for pair in commits[0].items("signed") if isinstance(pair, list) and pair}
    power = sum(powers.get(address, 0) for address in signed if address)
    newest = commits[0].integer("height")
    return newest is not None and height - 1 <= newest and power >= _power.quorum(sum(powers.values()))


def believable(answering: list[Source], notes: list[str]) -> tuple[list[Source], bool]:
    """The sources without those that claim heights no chain could have reached; and whether a claim stays doubtful."""
    kept = list(answering)
    while True:
        claims = sorted((entry for entry in kept if entry.height is not None), key=lambda entry: entry.height or 0)
        if len(claims) < 2 or is_corroborated(claims[-1], kept):
            return kept, False
        top, other = claims[-1], claims[-2]
        reference = other.now if other.now is not None else other.at
        waited = max(0.0, (reference or 0.0) - (other.block_time or reference or 0.0))
        if (top.height or 0) <= (other.height or 0) + 1000 + IMPOSSIBLE_RATE * waited:
            notes.append(f"{top.name} claims height {top.height}, and no other node corroborates it.")
            return kept, True
        notes.append(f"{top.name} claims height {top.height}, which cannot be (the others: {other.height}): set aside.")
        kept = [entry for entry in kept if entry is not top]


def read_chain(chain: t.Optional[str], by_look: list[list[Source]], min_apart: float, notes: list[str]) -> Chain:
    """Newest block, its age, and what two looks show of movement. ``by_look``: sources of each look, oldest first."""
    result = Chain(chain)
    if not by_look:
        return result
    newest = by_look[-1]
    wrong = wrong_clocks(newest, notes)
    result.ahead = ahead(newest)
    clocks = [entry.now for entry in newest if entry.ours and entry.now is not None and entry.name not in wrong]
    result.now = max(clocks, default=None)
    intervals = sorted(
        value for entry in newest if (value := entry.rpc.blocks.number("interval_s")) is not None and 0 < value <= 3600
    )
    if intervals:
        result.interval_s = intervals[(len(intervals) - 1) // 2]
        if result.interval_s > MAX_INTERVAL_S:
            notes.append(
                f"Blocks seem to come every {result.interval_s:.0f} s; {MAX_INTERVAL_S:.0f} s is taken instead."
            )
            result.interval_s = MAX_INTERVAL_S
        result.threshold_s = max(float(HALT_SECONDS), HALT_INTERVALS * result.interval_s)
    _newest_block(result, newest, wrong, notes)
    if len(by_look) == 2:
        _movement(result, by_look[0], newest, min_apart)
    return result


def _newest_block(result: Chain, newest: list[Source], wrong: set[str], notes: list[str]) -> None:
    heights = [entry.height for entry in newest if entry.height is not None]
    if not heights:
        return
    result.height = max(heights)
    top = [entry for entry in newest if entry.height == result.height]
    hashes = Counter(entry.block_hash for entry in top if entry.block_hash)
    if len(hashes) > 1:
        result.split = True
        notes.append(
            f"Two different blocks at height {result.height}: a fork, or a dishonest RPC. Do nothing by automation."
        )
    if hashes:
        # Most sources; of equally many the first by hash, so that the order of the observations does not matter.
        result.block_hash = min(hashes, key=lambda digest: (-hashes[digest], digest))
    times = Counter(entry.block_time for entry in top if entry.block_time is not None)
    if times:
        if len(times) > 1:
            notes.append(f"The hosts name different times for block {result.height}.")
        result.block_time = max(times, key=lambda moment: (times[moment], moment))
    # A reference's answer is timed by the controller, whose clock counts only where no host of ours stands at the top.
    judges = [entry for entry in top if entry.ours and entry.name not in wrong] or top
    ages = [
        entry.now - result.block_time
        for entry in judges
        if result.block_time is not None and entry.now is not None and entry.name not in wrong
    ]
    result.age_s = min(ages, default=None)


def _movement(result: Chain, older: list[Source], newest: list[Source], min_apart: float) -> None:
    before = {(entry.name, entry.ours): entry for entry in older}
    pairs = [(before[(entry.name, entry.ours)], entry) for entry in newest if (entry.name, entry.ours) in before]
    gaps = [
        (now.now - then.now) if now.now is not None and then.now is not None else (now.at or 0.0) - (then.at or 0.0)
        for then, now in pairs
        if now.height is not None and then.height is not None
    ]
    result.apart = bool(gaps) and max(gaps) >= min_apart
    was = max((entry.height for entry in older if entry.height is not None), default=None)
    if was is None or result.height is None:
        return
    known = [(then, now) for then, now in pairs if then.height is not None and now.height is not None]
    # A node that catches up grows as well, so only what goes beyond every height of the earlier look is a new block.
    grown = [now for then, now in known if (now.height or 0) > was and (now.height or 0) > (then.height or 0)]
    enough = any(not now.outside for now in grown) or len(grown) > 1
    result.moved = enough
    result.movers = len(grown) if enough and any(now.ours for now in grown) else 0
    result.outside_movers = sum(1 for now in grown if now.outside)
    result.outside_standing = sum(1 for then, now in known if now.outside and now.height == then.height)
    # One source that claims the top and stands there does not hold still those that grow below it; and one that says it
    # catches up says that the top is elsewhere.
    below = sum(1 for then, now in known if now.ours and (now.height or 0) > (then.height or 0))
    result.same_height = (
        was == result.height
        and below < 2
        and any(
            then.height == was
            and now.height == was
            and now.rpc.status.flag("catching_up") is not True
            and _apart(then, now, min_apart)
            for then, now in known
        )
    )


def _apart(then: Source, now: Source, min_apart: float) -> bool:
    if then.now is not None and now.now is not None:
        return now.now - then.now >= min_apart
    return then.at is not None and now.at is not None and now.at - then.at >= min_apart
