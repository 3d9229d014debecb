# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand endpoints on one screen: at most 40 lines of at most 100 columns, the rest folded into counts."""

from __future__ import annotations

import typing as t
from collections import Counter

from ..._path.evidence import values
from ..._path.render.layout import cut, fitted, gauge_bar, pad, tidy, wrap
from ..power import gauge
from . import answers
from .answers import Observation, View

LINES = 40
NAMED = 6  # endpoints named of one kind
VERSIONS = 5
NEAR_BLOCKS = 5
# Its time comes in whole seconds, and an answer may be under way for two more.
CLOCK_S = 3.0
_WIDE = 14
_URL = 44


def lines(
    observations: t.Sequence[Observation],
    chain: t.Optional[str] = None,
    discovered: int = 0,
    skipped: t.Optional[dict[str, int]] = None,
) -> list[str]:
    """The screen. ``chain``: the chain that is judged; ``discovered``: how many of the endpoints were not listed.

    ``skipped``: how many addresses were named and not dialled, by reason.
    """
    views = answers.views(observations, chain)
    shown = [
        *_head(observations, chain),
        *_heights(views),
        *_votes(observations, chain),
        *_versions(views),
        *_peers(views),
        *_clocks(views),
        *_disagreements(observations, chain),
        *_elsewhere(observations, chain),
        *_same_node(observations),
        *_silent(observations),
        *_discovery(discovered, skipped or {}),
    ]
    if len(shown) > LINES:
        shown = [*shown[: LINES - 1], f"... and {len(shown) - LINES + 1} lines more"]
    return [fitted(line) for line in shown]


def _line(name: str, text: str, most: int = 2) -> list[str]:
    return wrap(text, pad(name, _WIDE), most=most)


def _head(observations: t.Sequence[Observation], chain: t.Optional[str]) -> list[str]:
    counts = answers.tally(observations)
    ends = ", ".join(
        f"{counts[key]} {word}"
        for key, word in (
            ("answered", "answered"),
            ("late", "late"),
            ("refused", "refused"),
            ("other", "failed otherwise"),
        )
        if counts[key] or key == "answered"
    )
    of = f" of chain {cut(chain, 40)}" if chain else ""
    return [f"{counts['asked']} RPC endpoint{'' if counts['asked'] == 1 else 's'}{of}: {ends}."]


def _heights(views: list[View]) -> list[str]:
    known = [(view, view.height) for view in views if view.height is not None]
    if not known:
        return []
    top = max(height for _view, height in known)
    near = sum(1 for _view, height in known if top - NEAR_BLOCKS <= height < top)
    far = [(height, view.url) for view, height in known if height < top - NEAR_BLOCKS]
    text = f"{sum(1 for _view, height in known if height == top)} at {top}, {near} up to {NEAR_BLOCKS} behind"
    if far:
        least, url = min(far)
        text += f", {len(far)} further behind (the last, {cut(url, _URL)}, at {least})"
    catching = sum(1 for view in views if view.status.flag("catching_up") is True)
    shown = _line("Heights", text)
    return [*shown, *(_line("Catching up", f"{catching} say that they do") if catching else [])]


def _votes(observations: t.Sequence[Observation], chain: t.Optional[str]) -> list[str]:
    votes = answers.votes(observations, chain)
    if votes is None:
        return []
    stands = {True: "the chain stands", False: "the chain moves", None: "whether the chain moves is not known"}
    seen = f"as {votes.views} endpoint{'' if votes.views == 1 else 's'} saw it"
    shown = gauge(votes.total, votes.voting)
    return [
        *_line("Voting power", f"{stands[votes.halted]} at {votes.height}; {shown.words} ({seen})"),
        *([" " * _WIDE + gauge_bar({**vars(shown), "words": ""}).rstrip()] if shown.total > 0 else []),
    ]


def _versions(views: list[View]) -> list[str]:
    counts = Counter(version for view in views if (version := view.status.text("version")))
    order = sorted(counts, key=lambda version: (-counts[version], version))
    text = ", ".join(f"{cut(version, 24)}: {counts[version]}" for version in order[:VERSIONS])
    if len(order) > VERSIONS:
        text += f", {len(order) - VERSIONS} others: {sum(counts[version] for version in order[VERSIONS:])}"
    return _line("Versions", text) if text else []


def _peers(views: list[View]) -> list[str]:
    counts = sorted(count for view in views if (count := view.part("net_info").integer("count")) is not None)
    if not counts:
        return []
    middle = counts[(len(counts) - 1) // 2]
    return _line("Peers", f"{counts[0]} to {counts[-1]}, middle {middle} (of {len(counts)} endpoints)")


def _clocks(views: list[View]) -> list[str]:
    skews = [
        (server + 0.5 - view.at, view.url)
        for view in views
        if view.at is not None and (server := values.seconds(view.status.raw.get("server_time"))) is not None
    ]
    if not skews:
        return []
    wrong = sorted((pair for pair in skews if abs(pair[0]) > CLOCK_S), key=lambda pair: (-abs(pair[0]), pair[1]))
    text = f"{len(skews) - len(wrong)} within {CLOCK_S:.0f} s of the controller's"
    if wrong:
        ahead = sum(1 for skew, _url in wrong if skew > 0)
        skew, url = wrong[0]
        text += f", {ahead} ahead, {len(wrong) - ahead} behind (most: {cut(url, _URL)}, {skew:+.0f} s)"
    return _line("Clocks", text)


def _disagreements(observations: t.Sequence[Observation], chain: t.Optional[str]) -> list[str]:
    shown: list[str] = []
    for entry in answers.disagreements(observations, chain)[:4]:
        sides = "; ".join(
            f"{side['count']} say {cut(digest, 14)} ({_named(side['urls'][:2], side['count'])})"
            for digest, side in list(entry["hashes"].items())[:3]
        )
        rest = len(entry["hashes"]) - 3 + entry["more"]
        more = f"; {rest} more" if rest > 0 else ""
        what = "blocks" if entry["what"] == "block_hash" else "app hashes"
        shown += _line("DISAGREE", f"{what} at {entry['height']}: {sides}{more}", most=3)
    return shown


def _elsewhere(observations: t.Sequence[Observation], chain: t.Optional[str]) -> list[str]:
    if chain is None:
        return []
    others: dict[str, list[str]] = {}
    for view in answers.views(observations):
        name = view.status.text("chain_id") or "no chain"
        if name != chain:
            others.setdefault(name, []).append(view.url)
    if not others:
        return []
    order = sorted(others, key=lambda name: (-len(others[name]), name))
    text = "; ".join(f"{cut(name, 30)}: {_named(others[name][:2], len(others[name]))}" for name in order[:3])
    more = f"; {len(order) - 3} chains more" if len(order) > 3 else ""
    return _line("Other chain", f"set aside: {text}{more}", most=3)


def _same_node(observations: t.Sequence[Observation]) -> list[str]:
    shown: list[str] = []
    for entry in answers.same_node(observations)[:3]:
        shown += _line("Same node", f"{cut(entry['node_id'], 12)}: {_named(entry['urls'][:2], entry['count'])}")
    return shown


def _silent(observations: t.Sequence[Observation]) -> list[str]:
    kinds: dict[str, list[str]] = {}
    for entry in observations:
        if not entry["ok"]:
            kinds.setdefault(tidy(entry["error"]["kind"], 20), []).append(entry["host"])
    order = sorted(kinds, key=lambda kind: (-len(kinds[kind]), kind))
    shown: list[str] = []
    for kind in order[:4]:
        hosts = sorted(kinds[kind])
        shown += _line("No answer", f"{kind.replace('_', ' ')}: {_named(hosts[:NAMED], len(hosts))}", most=4)
    rest = sum(len(kinds[kind]) for kind in order[4:])
    return [*shown, *(_line("No answer", f"other troubles: {rest}") if rest else [])]


def _discovery(discovered: int, skipped: dict[str, int]) -> list[str]:
    shown = _line("Discovered", f"{discovered} of the endpoints, through the peers of others") if discovered else []
    text = ", ".join(f"{tidy(word, 20).replace('_', ' ')} {count}" for word, count in sorted(skipped.items()))
    return [*shown, *(_line("Not dialled", f"addresses that peers name: {text}") if text else [])]


def _named(urls: t.Sequence[str], count: int) -> str:
    names = ", ".join(cut(url, _URL) for url in urls)
    return f"{names} and {count - len(urls)} more" if count > len(urls) else names
