# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What screen and report show of a halt: who votes and who does not, and the power that votes against the quorum."""

from __future__ import annotations

import typing as t

from ..._chain import power as _power
from ..._chain.privilege import Missing
from ..._chain.reading.types import Node, Reading, ValidatorRow
from ..._path.evidence.values import stamp
from ..._path.text import clean
from ..._path.verdict.verdict import DEGRADED, HEALTHY, INCIDENT, UNKNOWN, Column, Row, Table, View
from .summary import nothing_read

# What stands above everything else, whether the chain runs or not.
_ALARMS = {"key_on_two_hosts": "ONE KEY RUNS ON TWO HOSTS: SECURITY INCIDENT"}

# State -> how it looks, and what a person calls it.
_STATES = {
    "voting": ("good", "voting"),
    "voted_at": ("stale", "voted, may be old"),
    "not_voting": ("refusing", "runs, not voting"),
    "unreachable": ("unreachable", "unreachable"),
    "stopped": ("stopped", "STOPPED"),
    "frozen": ("frozen", "FROZEN"),
    "crashed": ("crashed", "CRASHED"),
    "busy": ("waiting", "busy, silent"),
    "unknown": ("unknown", "cannot tell"),
    "running": ("unknown", "running"),
}
_COLUMNS = (
    Column("validator"),
    Column("address", "id", 8),
    Column("power", "number"),
    Column("share", "number", 7),
    Column("whose", most=6),
    Column("what it does (times in UTC)"),
)
_MOST_NAMED = 4  # of those that do not vote, in the first answer
_MOST_RUNNING = 6


def view(
    reading: Reading,
    status: str,
    severity: t.Optional[str],
    confirmed: bool,
    causes: t.Collection[str],
    missing: t.Optional[Missing],
) -> View:
    """The view of a verdict. ``causes``: the ids of those that hold. ``missing``: privilege."""
    rows = by_need(reading)
    headline = _headline(status, severity, confirmed)
    if missing is not None and missing.everywhere:
        headline = _without_privilege(missing, nothing_read(reading, missing), status, severity, confirmed)
    return View(
        headline=next((alarm for cause, alarm in _ALARMS.items() if cause in causes), headline),
        brief=(*((missing.brief(),) if missing is not None else ()), *_not_voting(rows)),
        facts=(
            ("Chain", clean(reading.chain_id, 60) or "unknown"),
            ("Height", "unknown" if reading.height is None else str(reading.height)),
            ("Last block", _last_block(reading)),
        ),
        tables=(_table(reading, rows),),
        gauges=(_power.gauge(reading.total, reading.voting, reading.unknown, table=0),) if reading.total > 0 else (),
    )


def _headline(status: str, severity: t.Optional[str], confirmed: bool) -> str:
    """The verdict in a few words: few enough (47 letters) that neither the first answer nor the last screen cuts them."""
    if status == INCIDENT:
        return "THE CHAIN IS HALTED" if confirmed else "THE CHAIN SEEMS HALTED, NOT CONFIRMED YET"
    if status == UNKNOWN and severity is None:
        return "NO HALT SEEN SO FAR, NOT CONFIRMED YET"
    known = {DEGRADED: "THE CHAIN RUNS, SOMETHING OF OURS IS MISSING", HEALTHY: "THE CHAIN RUNS"}
    return known.get(status, "CANNOT TELL WHETHER THE CHAIN RUNS")


def _without_privilege(missing: Missing, nothing: bool, status: str, severity: t.Optional[str], confirmed: bool) -> str:
    """The same where no host was read as root: what to do about that comes first."""
    if nothing:
        return f"NOTHING COULD BE READ WITHOUT PRIVILEGE: ADD {missing.option}"
    if status == INCIDENT:
        seen = "THE CHAIN IS HALTED" if confirmed else "THE CHAIN SEEMS HALTED"
    elif status == UNKNOWN:
        seen = "NO HALT SEEN SO FAR" if severity is None else "CANNOT TELL IF IT RUNS"
    else:
        seen = "THE CHAIN RUNS"
    return f"NO PRIVILEGE, ADD {missing.option}: {seen}"


def by_need(reading: Reading) -> list[ValidatorRow]:
    """Validators that do not vote, then those that vote, each with the most power first."""
    return sorted(reading.validators, key=lambda row: (row.state == "voting", -row.power, row.address))


def subject(row: ValidatorRow) -> str:
    """What a validator is called: ours by its host in the inventory, others by the name they give themselves."""
    return clean((row.host if row.owner == "ours" else None) or row.name, 80) or "no name"


def _state_words(row: ValidatorRow) -> str:
    """The state of a validator; of a node that is not ours nobody knows whether it runs."""
    return "not voting" if row.state == "not_voting" and row.owner != "ours" else _STATES[row.state][1]


def _what_it_does(row: ValidatorRow, since: t.Optional[str], day: t.Optional[str]) -> str:
    """State, since when, and the detail, in one line. Without the date where that is ``day``."""
    words = _state_words(row)
    if since is not None:
        words += f" since {since[11:19]}" if since[:10] == day else f" since {since[:10]} {since[11:19]}"
    return f"{words}: {row.detail}" if row.detail and row.state != "voting" else words


def _not_voting(rows: list[ValidatorRow]) -> tuple[str, ...]:
    missing = [row for row in rows if row.state != "voting"]
    if not missing:
        return ()
    names = [f"{clean(subject(row), 20)} {row.power} {_state_words(row)}" for row in missing[:_MOST_NAMED]]
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    return (f"Not seen voting: {', '.join(names)}{more}.",)


def _table(reading: Reading, rows: list[ValidatorRow]) -> Table:
    day = (stamp(reading.last_block_at) or "")[:10] or None
    return Table(
        "Who votes and who does not",
        _COLUMNS,
        tuple(_row(row, reading.total, day) for row in rows),
        unit="voting power",
        after=_others(not_validators(reading), "Not validators" if rows else "Our hosts"),
        empty="No node shows the validator set, so voting power cannot be counted.",
    )


def _row(row: ValidatorRow, total: int, day: t.Optional[str]) -> Row:
    name = subject(row)
    start = (name, row.address, str(row.power), f"{_power.share_percent(row.power, total)} %", row.owner)
    since = stamp(row.since)
    whole, on_the_day = _what_it_does(row, since, None), _what_it_does(row, since, day)
    return Row(
        cells=(*start, whole),
        looks=_STATES[row.state][0],
        state=_state_words(row),
        weight=row.power,
        ours=row.owner == "ours",
        name=name,
        short=None if whole == on_the_day else (*start, on_the_day),
    )


def not_validators(reading: Reading) -> list[Node]:
    """Our hosts that are in no row."""
    shown = {row.host for row in reading.validators}
    return [
        node for host, node in reading.nodes.items() if host not in shown and (node.observed or node.address is None)
    ]


def _others(nodes: list[Node], title: str) -> tuple[str, ...]:
    """Hosts that run are counted, the others are named."""
    if not nodes:
        return ()
    running = [node for node in nodes if node.state == "running"]
    words = [f"{clean(node.host, 20)} {_STATES[node.state][1]}" for node in nodes if node not in running]
    if running:
        names = ", ".join(clean(node.host, 20) for node in running[:_MOST_RUNNING])
        words.append(f"{len(running)} running ({names}{', ...' if len(running) > _MOST_RUNNING else ''})")
    return (f"{title}: {', '.join(words)}.",)


def _last_block(reading: Reading) -> str:
    at = stamp(reading.last_block_at)
    known = [f"{at[:10]} {at[11:19]} UTC" if at is not None else "", clean(reading.last_block_hash, 80)]
    return ", ".join(text for text in known if text) or "unknown"
