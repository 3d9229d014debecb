# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture: voting power by what its validators do, against the line that quorum needs. PRIVATE."""

from __future__ import annotations

import html
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.power import share_percent
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.table import (
    by_need,
    power_of,
    state_words,
    subject,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.layout import cut, number, width

WIDTH = 1000
BAR_TOP = 58
BAR_HEIGHT = 64
LEGEND_TOP = BAR_TOP + BAR_HEIGHT + 44
LEGEND_LINE = 24
# Above so many validators their own borders would be all there is to see.
MOST_BORDERS = 40
# Rough width of a letter of 13 px; too wide rather than too narrow, a label that does not fit is left out.
LETTER = 8

# state -> (colour, pattern). Colours that are alike in grey print differ in their pattern.
_LOOKS = {
    "voting": ("#1f5f43", "solid"),
    "voted_at": ("#e8d9a8", "dots"),
    "unknown": ("#dcdcdc", "dots"),
    "busy": ("#cfd8e6", "dots"),
    "not_voting": ("#e3b9ec", "cross"),
    "unreachable": ("#f0c48a", "slant"),
    "frozen": ("#a9cdf0", "level"),
    "crashed": ("#f0a9a0", "level"),
    "stopped": ("#f7d4cf", "level"),
}
_DRAWN = {
    "dots": '<circle cx="4" cy="4" r="1.4" fill="#444"/>',
    "cross": '<path d="M0 0L8 8M8 0L0 8" stroke="#444" stroke-width="1"/>',
    "slant": '<path d="M-2 2L2 -2M0 8L8 0M6 10L10 6" stroke="#444" stroke-width="1.4"/>',
    "level": '<path d="M0 4H8" stroke="#444" stroke-width="1"/>',
}


def svg(verdict: dict[str, t.Any]) -> str:
    """A drawing of its own (no script, nothing from elsewhere): one bar of all power, the line at the quorum, a legend.

    Without a validator set it says that power cannot be counted.
    """
    power = verdict["power"]
    total, quorum = power.get("total"), power.get("quorum")
    rows = [row for row in verdict["validators"] if isinstance(row, dict) and power_of(row) > 0]
    counted = sum(power_of(row) for row in rows)
    if not isinstance(total, int) or not isinstance(quorum, int) or total <= 0 or counted <= 0:
        return _page(
            60, '<text x="0" y="34" class="head">Voting power cannot be counted: no validator set is seen.</text>'
        )
    # Rows decide the lengths; the sum of the verdict may differ where the rows were cut.
    whole = max(total, counted)
    groups = _groups(rows)
    head = f"{number(power.get('voting'))} of {number(total)} voting power votes, {number(quorum)} is needed"
    parts = [f'<text x="0" y="20" class="head">{html.escape(head)}</text>']
    parts += _bar(groups, whole, len(rows))
    parts += _quorum(quorum, whole)
    parts += _legend(groups, whole)
    return _page(LEGEND_TOP + LEGEND_LINE * len(groups), "".join(parts))


def _groups(rows: list[dict[str, t.Any]]) -> list[tuple[str, list[dict[str, t.Any]]]]:
    """Rows by state: what votes first, then in the order of the legend; within a state the most power first."""
    missing, voting = by_need(rows)
    found: dict[str, list[dict[str, t.Any]]] = {state: [] for state in _LOOKS}
    for row in voting + missing:
        state = row.get("state")
        found[state if isinstance(state, str) and state in _LOOKS else "unknown"].append(row)
    return [(state, members) for state, members in found.items() if members]


def _bar(groups: list[tuple[str, list[dict[str, t.Any]]]], whole: int, count: int) -> list[str]:
    parts = []
    done = 0
    for state, members in groups:
        each = [[row] for row in members] if count <= MOST_BORDERS else [members]
        for rows in each:
            left = WIDTH * done // whole
            done += sum(power_of(row) for row in rows)
            long = WIDTH * done // whole - left
            parts.append(_box(left, BAR_TOP, long, BAR_HEIGHT, state))
            label = cut(subject(rows[0]), 24) if len(rows) == 1 else f"{len(rows)} {state_words(state)}"
            figure = number(sum(power_of(row) for row in rows))
            parts += _labels(left + long // 2, long, state, label, figure)
    return parts


def _labels(middle: int, room: int, state: str, label: str, figure: str) -> list[str]:
    kind = "light" if state == "voting" else "dark"
    lines = [(line, y) for line, y in ((label, 28), (figure, 48)) if width(line) * LETTER <= room]
    return [
        f'<text x="{middle}" y="{BAR_TOP + y}" class="label {kind}">{html.escape(line)}</text>' for line, y in lines
    ]


def _box(left: int, top: int, long: int, high: int, state: str) -> str:
    colour, pattern = _LOOKS[state]
    place = f'x="{left}" y="{top}" width="{long}" height="{high}"'
    drawn = f'<rect {place} fill="{colour}" stroke="#222" stroke-width="1"/>'
    return drawn if pattern == "solid" else f'{drawn}<rect {place} fill="url(#{pattern})" stroke="none"/>'


def _quorum(quorum: int, whole: int) -> list[str]:
    # Rounded up, as the bar is rounded down: power that is short of the line is drawn short of it.
    x = min(WIDTH, -(-WIDTH * quorum // whole))
    anchor = "end" if x > WIDTH // 2 else "start"
    return [
        f'<path d="M{x} {BAR_TOP - 12}V{BAR_TOP + BAR_HEIGHT + 12}" stroke="#000" stroke-width="4"/>',
        f'<text x="{x}" y="{BAR_TOP - 17}" class="line" text-anchor="{anchor}">'
        f"quorum: {html.escape(number(quorum))} needed</text>",
    ]


def _legend(groups: list[tuple[str, list[dict[str, t.Any]]]], whole: int) -> list[str]:
    parts = []
    for place, (state, members) in enumerate(groups):
        top = LEGEND_TOP + LEGEND_LINE * place - 16
        power = sum(power_of(row) for row in members)
        ours = sum(1 for row in members if row.get("owner") == "ours")
        text = (
            f"{state_words(state)}: power {number(power)} ({share_percent(power, whole)} %), "
            f"{len(members)} {'validator' if len(members) == 1 else 'validators'}, {ours} of them ours"
        )
        parts.append(_box(1, top + 2, 28, 16, state))
        parts.append(f'<text x="40" y="{top + 15}">{html.escape(text)}</text>')
    return parts


def _page(high: int, inside: str) -> str:
    patterns = "".join(
        f'<pattern id="{name}" width="8" height="8" patternUnits="userSpaceOnUse">{drawn}</pattern>'
        for name, drawn in _DRAWN.items()
    )
    style = (
        "text{font:14px sans-serif;fill:#111}.head{font-size:16px;font-weight:bold}.line{font-weight:bold}"
        ".label{font-size:13px;text-anchor:middle}.light{fill:#fff}"
        ".dark{stroke:#fff;stroke-width:4px;paint-order:stroke}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 0 {WIDTH + 4} {high}" width="100%" role="img" '
        f'aria-label="voting power against quorum"><style>{style}</style><defs>{patterns}</defs>{inside}</svg>'
    )
