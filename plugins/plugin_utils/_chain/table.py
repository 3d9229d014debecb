# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table "who votes and who does not": validators by what they do, the missing ones first. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.layout import (
    COLUMNS,
    INDENT,
    clock,
    cut,
    number,
    pad,
    power_bar,
    width,
    wrap,
)

Row = dict[str, t.Any]

# The contract's state words as a person says them.
STATES = {
    "voting": "voting",
    "voted_at": "voted, may be old",
    "not_voting": "runs, not voting",
    "unreachable": "unreachable",
    "stopped": "STOPPED",
    "frozen": "FROZEN",
    "crashed": "CRASHED",
    "busy": "busy, silent",
    "unknown": "cannot tell",
    "running": "running",
}
NAME = 20  # columns for a name at most
MOST_ROWS = 12


def state_words(state: t.Any) -> str:
    """A state word of the verdict as a person says it; an unknown word as it is."""
    return STATES.get(state, cut(state, 20)) if isinstance(state, str) else "cannot tell"


def what_state(row: Row) -> str:
    """The state of a row; of a node that is not ours nobody knows whether it runs."""
    if row.get("state") == "not_voting" and row.get("owner") != "ours":
        return "not voting"
    return state_words(row.get("state"))


def subject(row: Row) -> str:
    """What a validator is called: ours by its host in the inventory, others by the name they give themselves."""
    return str((row.get("host") if row.get("owner") == "ours" else None) or row.get("name") or "no name")


def power_of(row: Row) -> int:
    """The voting power of a row; 0 where it holds none."""
    power = row.get("power")
    return power if isinstance(power, int) else 0


def by_need(rows: t.Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Rows that do not vote and rows that vote, each with the most power first."""
    ordered = sorted(rows, key=lambda row: (-power_of(row), str(row.get("address"))))
    return (
        [row for row in ordered if row.get("state") != "voting"],
        [row for row in ordered if row.get("state") == "voting"],
    )


def what_it_does(row: Row, day: t.Any) -> str:
    """State, since when, and the detail, in one line."""
    since = clock(row.get("since"), day)
    words = what_state(row) + (f" since {since}" if since else "")
    detail = str(row.get("detail") or "")
    return f"{words}: {detail}" if detail and row.get("state") != "voting" else words


def table(verdict: dict[str, t.Any]) -> list[str]:
    """The table and the line quorum needs against what votes now. Many rows are folded; the missing power is not."""
    rows = [row for row in verdict["validators"] if isinstance(row, dict)]
    if not rows:
        return [
            INDENT + "No node shows the validator set, so voting power cannot be counted.",
            *_others(verdict, "Our hosts"),
        ]
    missing, voting = by_need(rows)
    shown, folded = missing[:MOST_ROWS], missing[MOST_ROWS:]
    room = MOST_ROWS - len(shown)
    single = voting if len(voting) <= room else voting[: max(0, room - 1)]
    rest = voting[len(single) :]
    names = max([9, *(width(cut(subject(row), NAME)) for row in shown + single)])
    figures = max([5, *(len(number(row.get("power"))) for row in shown + single)])
    start = f"{INDENT}{pad('validator', names)} {pad('address', 8)} {'power':>{figures}}"
    lines = [f"{start}  share whose  what it does (times in UTC)"]
    day = verdict.get("last_block_at")
    lines += [_row(row, names, figures, day) for row in shown]
    lines += _fold(folded, "more are not seen voting")
    lines += [_row(row, names, figures, day) for row in single]
    lines += _fold(rest, "more vote" if single else "vote")
    drawn = power_bar(verdict["power"])
    lines += [f"{INDENT}{drawn}"] if drawn else []
    return lines + _others(verdict, "Not validators")


def _row(row: Row, names: int, figures: int, day: t.Any) -> str:
    start = (
        f"{INDENT}{pad(subject(row), names)} {pad(str(row.get('address') or '?')[:8], 8)} "
        f"{number(row.get('power')):>{figures}} {cut(row.get('share_percent'), 5):>5}% {pad(row.get('owner'), 6)} "
    )
    return (start + cut(what_it_does(row, day), COLUMNS - width(start))).rstrip()


def _fold(rows: list[Row], words: str) -> list[str]:
    if not rows:
        return []
    ours = [row for row in rows if row.get("owner") == "ours"]
    counts: dict[str, int] = {}
    for row in rows:
        counts[state_words(row.get("state"))] = counts.get(state_words(row.get("state")), 0) + 1
    kinds = ", ".join(f"{count} {state}" for state, count in counts.items())
    detail = f" ({kinds})" if set(counts) != {"voting"} else ""
    power = sum(power_of(row) for row in rows)
    text = f"... {len(rows)} {words}, power {number(power)}, {len(ours)} of them ours{detail}"
    return wrap(text, INDENT, INDENT + "    ", most=2)


def _others(verdict: dict[str, t.Any], title: str) -> list[str]:
    """Our hosts that are in no row: the ones that run in one line, the others by name."""
    nodes = [node for node in verdict.get("nodes") or [] if isinstance(node, dict)]
    if not nodes:
        return []
    running = [node for node in nodes if node.get("state") == "running"]
    words = [f"{cut(node.get('host'), 20)} {state_words(node.get('state'))}" for node in nodes if node not in running]
    if running:
        names = ", ".join(cut(node.get("host"), 20) for node in running[:6]) + (", ..." if len(running) > 6 else "")
        words.append(f"{len(running)} running ({names})")
    return wrap(f"{title}: " + ", ".join(words) + ".", INDENT, most=2)
