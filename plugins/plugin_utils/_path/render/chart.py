# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a gauge: its parts by how they are, against the line that is needed. PRIVATE to the collection."""

from __future__ import annotations

import html
import typing as t

from .layout import cut, number, tidy, width

WIDTH = 1000
BAR_TOP = 58
BAR_HEIGHT = 64
LEGEND_TOP = BAR_TOP + BAR_HEIGHT + 44
LEGEND_LINE = 24
# Above so many parts their own borders would be all there is to see.
MOST_BORDERS = 40
# Rough width of a letter of 13 px; too wide rather than too narrow, a label that does not fit is left out.
LETTER = 8

# looks -> (colour, pattern). Colours that are alike in grey print differ in their pattern.
_LOOKS = {
    "good": ("#1f5f43", "solid"),
    "stale": ("#e8d9a8", "dots"),
    "unknown": ("#dcdcdc", "dots"),
    "waiting": ("#cfd8e6", "dots"),
    "refusing": ("#e3b9ec", "cross"),
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


Row = dict[str, t.Any]


def svg(gauge: dict[str, t.Any], rows: list[Row]) -> str:
    """A drawing of its own (no script, nothing from elsewhere): one bar of all parts, the line that is needed, a legend.

    Without anything that can be counted it has only the gauge's words.
    """
    total, needed = gauge.get("total"), gauge.get("needed")
    rows = [row for row in rows if row["weight"] > 0]
    counted = sum(row["weight"] for row in rows)
    head = f'<text x="0" y="20" class="head">{html.escape(tidy(gauge.get("words")))}</text>'
    if not isinstance(total, int) or not isinstance(needed, int) or total <= 0 or counted <= 0:
        return _page(60, head, gauge)
    # Rows decide the lengths; the total may differ where the rows were cut, and more may be needed than there is.
    whole = max(total, counted)
    long = max(whole, needed)
    groups = _groups(rows)
    parts = [head, *_bar(groups, long, len(rows)), *_needed(gauge, needed, long), *_legend(gauge, groups, whole)]
    return _page(LEGEND_TOP + LEGEND_LINE * len(groups), "".join(parts), gauge)


def _groups(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by how they are: what serves first, then in the order of the legend."""
    groups: dict[str, list[Row]] = {looks: [] for looks in _LOOKS}
    for row in rows:
        groups[row["looks"] if row["looks"] in _LOOKS else "unknown"].append(row)
    return [(looks, members) for looks, members in groups.items() if members]


def _bar(groups: list[tuple[str, list[Row]]], whole: int, count: int) -> list[str]:
    parts = []
    done = 0
    for looks, members in groups:
        each = [[row] for row in members] if count <= MOST_BORDERS else [members]
        for rows in each:
            left = WIDTH * done // whole
            done += sum(row["weight"] for row in rows)
            long = WIDTH * done // whole - left
            parts.append(_box(left, BAR_TOP, long, BAR_HEIGHT, looks))
            label = cut(rows[0]["name"], 24) if len(rows) == 1 else f"{len(rows)} {cut(rows[0]['state'], 20)}"
            figure = number(sum(row["weight"] for row in rows))
            parts += _labels(left + long // 2, long, looks, label, figure)
    return parts


def _labels(middle: int, room: int, looks: str, label: str, figure: str) -> list[str]:
    kind = "light" if looks == "good" else "dark"
    lines = [(line, y) for line, y in ((label, 28), (figure, 48)) if width(line) * LETTER <= room]
    return [
        f'<text x="{middle}" y="{BAR_TOP + y}" class="label {kind}">{html.escape(line)}</text>' for line, y in lines
    ]


def _box(left: int, top: int, long: int, high: int, looks: str) -> str:
    colour, pattern = _LOOKS[looks]
    place = f'x="{left}" y="{top}" width="{long}" height="{high}"'
    drawn = f'<rect {place} fill="{colour}" stroke="#222" stroke-width="1"/>'
    return drawn if pattern == "solid" else f'{drawn}<rect {place} fill="url(#{pattern})" stroke="none"/>'


def _needed(gauge: dict[str, t.Any], needed: int, whole: int) -> list[str]:
    # Rounded up, as the bar is rounded down: what is short of the line is drawn short of it.
    x = -(-WIDTH * needed // whole)
    anchor = "end" if x > WIDTH // 2 else "start"
    return [
        f'<path d="M{x} {BAR_TOP - 12}V{BAR_TOP + BAR_HEIGHT + 12}" stroke="#000" stroke-width="4"/>',
        f'<text x="{x}" y="{BAR_TOP - 17}" class="line" text-anchor="{anchor}">'
        f"{html.escape(cut(gauge.get('line'), 30))}: {html.escape(number(needed))} needed</text>",
    ]


def _legend(gauge: dict[str, t.Any], groups: list[tuple[str, list[Row]]], whole: int) -> list[str]:
    parts = []
    for place, (looks, members) in enumerate(groups):
        top = LEGEND_TOP + LEGEND_LINE * place - 16
        weight = sum(row["weight"] for row in members)
        ours = sum(1 for row in members if row["ours"])
        text = (
            f"{cut(members[0]['state'], 30)}: {cut(gauge.get('unit'), 20)} {number(weight)} ({_percent(weight, whole)} %), "
            f"{len(members)} in number, {ours} of them ours"
        )
        parts.append(_box(1, top + 2, 28, 16, looks))
        parts.append(f'<text x="40" y="{top + 15}">{html.escape(text)}</text>')
    return parts


def _percent(weight: int, whole: int) -> str:
    """A share with one decimal, rounded down: no share looks larger than it is."""
    return f"{1000 * weight // whole // 10}.{1000 * weight // whole % 10}"


def _page(high: int, inside: str, gauge: dict[str, t.Any]) -> str:
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
        f'aria-label="{html.escape(tidy(gauge.get("title"), 80))}"><style>{style}</style><defs>{patterns}</defs>{inside}</svg>'
    )
