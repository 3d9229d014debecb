# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a verdict, which every incident fills in. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

SCHEMA = "virtengine.incident.verdict/2"

HEALTHY, DEGRADED, INCIDENT, UNKNOWN = "healthy", "degraded", "incident", "unknown"

Verdict = dict[str, t.Any]

# How a row of a table or a part of a gauge is drawn: the first serves, the others do not, each with a pattern of its own.
LOOKS = ("good", "stale", "unknown", "waiting", "refusing", "unreachable", "frozen", "crashed", "stopped")


@dataclass(frozen=True)
class Column:
    """A column of a table. ``kind``: ``text``, ``number``, ``id`` (a long name of which the screen shows the beginning)."""

    name: str
    kind: str = "text"
    most: int = 20  # columns of the screen at most; the last column of a table takes what is left


@dataclass(frozen=True)
class Row:
    """A row of a table, and the part of the gauge that it is, if it is one.

    ``looks``: one of LOOKS. ``state``: what that is called. ``weight``: its part of the gauge. ``ours``: whether it is of
    the inventory. ``short``: cells for the screen where they are not those of the report.
    """

    cells: tuple[str, ...]
    looks: str
    state: str
    weight: int = 0
    ours: bool = True
    name: str = ""
    short: t.Optional[tuple[str, ...]] = None


@dataclass(frozen=True)
class Table:
    """Who or what is concerned, the worst first.

    ``unit``: of the weights of its rows. ``after``: lines below it. ``empty``: what stands in its place where it has no row.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    unit: str = ""
    after: tuple[str, ...] = ()
    empty: str = ""


@dataclass(frozen=True)
class Gauge:
    """A sum against a line that it has to reach.

    ``words``: the same in words. ``line``: what the line is called. ``legend``: what the signs of the bar in text mean.
    ``table``: the index of the table whose rows, by their weight, are its parts; None where it has none.
    """

    title: str
    total: int
    needed: int
    value: int
    words: str
    line: str
    legend: str
    unknown: int = 0
    unit: str = ""
    table: t.Optional[int] = None


@dataclass(frozen=True)
class View:
    """What screen and report show of a verdict, beside its causes.

    ``headline``: a few words. ``brief``: lines of the first answer, beside headline, summary and gauge. ``facts``: name
    and value.
    """

    headline: str
    brief: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    gauges: tuple[Gauge, ...] = ()


def made(
    *,
    incident: str,
    subject: str,
    status: str,
    severity: t.Optional[str],
    confirmed: bool,
    judged: dict[str, list[dict[str, t.Any]]],
    summary: str,
    next_lines: t.Sequence[str],
    started_at: t.Optional[str],
    view: View,
    details: dict[str, t.Any],
    notes: t.Sequence[str] = (),
    hand_over: t.Sequence[dict[str, str]] = (),
) -> Verdict:
    """A verdict.

    ``subject``: what it is about ("host web1"). ``judged``: of ``judge``. ``started_at``: when the incident
    began, RFC 3339; two runs over the same incident find the same time, or None. ``hand_over``: incidents behind this
    one, ``{"incident": name, "because": sentence}``. ``details``: the incident's own, which the path never looks into.
    """
    return {
        "schema": SCHEMA,
        "incident": incident,
        "subject": subject,
        "status": status,
        "severity": severity,
        "confirmed": confirmed,
        **judged,
        "summary": summary,
        "next": list(next_lines),
        "notes": list(notes),
        "hand_over": list(hand_over),
        "started_at": started_at,
        **_plain(view),
        "details": details,
    }


def _plain(view: View) -> dict[str, t.Any]:
    """The view as JSON would hold it: a verdict that was kept and read again is the same."""
    return {
        "headline": view.headline,
        "brief": list(view.brief),
        "facts": [list(fact) for fact in view.facts],
        "tables": [_lists(table) for table in view.tables],
        "gauges": [_lists(gauge) for gauge in view.gauges],
    }


def _lists(value: t.Any) -> t.Any:
    if isinstance(value, (list, tuple)):
        return [_lists(inner) for inner in value]
    if isinstance(value, (Table, Column, Row, Gauge)):
        return {name: _lists(inner) for name, inner in vars(value).items()}
    return value
