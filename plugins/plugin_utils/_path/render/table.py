# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of a verdict on the screen: what needs attention first, folded where it is long. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .layout import COLUMNS, INDENT, cut, number, pad, width, wrap

Row = dict[str, t.Any]

# Of a long name, such as an address, the beginning tells it from others.
ID_COLUMNS = 8
MOST_ROWS = 12
GOOD = "good"


def with_gauges(verdict: dict[str, t.Any]) -> list[tuple[dict[str, t.Any], list[dict[str, t.Any]]]]:
    """Each table of a verdict with the gauges that its rows add up to."""
    return [
        (table, [gauge for gauge in verdict["gauges"] if gauge["table"] == place])
        for place, table in enumerate(verdict["tables"])
    ]


def own_gauges(verdict: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The gauges that are of no table."""
    return [gauge for gauge in verdict["gauges"] if gauge["table"] is None]


def split(rows: t.Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows that need attention, and rows that are as they should be; each in their order."""
    return [row for row in rows if row["looks"] != GOOD], [row for row in rows if row["looks"] == GOOD]


def lines(table: dict[str, t.Any]) -> list[str]:
    """The table in lines of the screen. Many rows are folded; what they weigh is not lost."""
    rows = table["rows"]
    if not rows:
        return [*wrap(table["empty"], INDENT), *_after(table)]
    bad, good = split(rows)
    shown, folded = bad[:MOST_ROWS], bad[MOST_ROWS:]
    room = MOST_ROWS - len(shown)
    single = good if len(good) <= room else good[: max(0, room - 1)]
    rest = good[len(single) :]
    columns = table["columns"]
    widths = [
        _width(column, [_cells(row)[place] for row in shown + single]) for place, column in enumerate(columns[:-1])
    ]
    drawn = [_line([column["name"] for column in columns], columns, widths)]
    drawn += [_line(_cells(row), columns, widths) for row in shown]
    drawn += _fold(folded, table["unit"], more=True)
    drawn += [_line(_cells(row), columns, widths) for row in single]
    drawn += _fold(rest, table["unit"], more=bool(single))
    return drawn + _after(table)


def _cells(row: Row) -> list[t.Any]:
    cells: list[t.Any] = row["short"] or row["cells"]
    return cells


def _width(column: dict[str, t.Any], cells: list[t.Any]) -> int:
    if column["kind"] == "id":
        return max(ID_COLUMNS, width(column["name"]))
    return max([width(column["name"]), *(width(cut(cell, column["most"])) for cell in cells)])


def _line(cells: list[t.Any], columns: list[dict[str, t.Any]], widths: list[int]) -> str:
    """One line; the last column takes what is left of it."""
    text = INDENT
    for cell, column, wide in zip(cells, columns[:-1], widths, strict=False):
        shown = str(cell)[:wide] if column["kind"] == "id" else cut(cell, wide)
        text += (" " * (wide - width(shown)) + shown if column["kind"] == "number" else pad(shown, wide)) + " "
    return (text + cut(cells[-1], COLUMNS - width(text))).rstrip()


def _fold(rows: list[Row], unit: str, more: bool) -> list[str]:
    if not rows:
        return []
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    kinds = ", ".join(f"{count} {state}" for state, count in counts.items())
    weight = f", {unit} {number(sum(row['weight'] for row in rows))}" if unit else ""
    ours = sum(1 for row in rows if row["ours"])
    text = f"... {len(rows)}{' more' if more else ''}: {kinds}{weight}, {ours} of them ours"
    return wrap(text, INDENT, INDENT + "    ", most=2)


def _after(table: dict[str, t.Any]) -> list[str]:
    return [line for text in table["after"] for line in wrap(text, INDENT, most=2)]
