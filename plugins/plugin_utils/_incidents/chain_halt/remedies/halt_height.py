# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that halted at a configured height or time: its app.toml is cleared once an operator says that the halt is over."""

from __future__ import annotations

import typing as t

from ...._chain.guards.case import Case
from ...._chain.reading.types import DOWN
from ...._chain.stated import halted_by, is_dead
from ...._path.evidence.values import integer
from ...._path.plan.guard import CLEAR, Guard, clear, refused
from ...._path.plan.plan import DIGEST_MARK
from .. import variables
from ..actions import CLEAR_HALT
from . import stop
from .remedy import Change, Remedy, Texts

HEIGHT, TIME = "halt_height", "halt_time"


def _blocks(case: Case) -> bool:
    states_it = any(mark.kind == HEIGHT for mark in case.stated)
    return states_it and (case.node.state in DOWN or is_dead(case.node))


def _removed(case: Case, planned: bool) -> bool:
    """Only where an operator said that the halt is over."""
    return (planned or is_cleared(case)) and is_over(case).state == CLEAR


def settings(case: Case) -> tuple[t.Optional[int], t.Optional[int]]:
    """Halt height and halt time that a start would take; None for one that cannot be told."""
    return integer(case.data.setting(HEIGHT)), integer(case.data.setting(TIME))


def reached(case: Case) -> t.Optional[dict[str, int]]:
    """The halt height and halt time that a start would halt at again, by name; None where that cannot be told.

    A value that lies ahead is not why the node halted: a height above its newest block, a time after the last block's
    (the node compares it with the time of the block, not with a clock: SDK baseapp/abci.go, ``checkHalt``).
    """
    height, at = settings(case)
    newest, last_block_at = _newest(case), case.reading.last_block_at
    if height is None or at is None or newest is None or (at and last_block_at is None):
        return None
    values = {}
    if 0 < height <= newest:
        values[HEIGHT] = height
    if at and at <= (last_block_at or 0.0):
        values[TIME] = at
    return values


def _newest(case: Case) -> t.Optional[int]:
    return case.node.height if case.node.height is not None else case.stands_at


def is_cleared(case: Case) -> bool:
    """Whether a start would not halt again where the node stands. A halt that lies in the future may be configured."""
    return reached(case) == {}


def halts_at(case: Case) -> t.Optional[int]:
    """The height that the operator has to name: the one of the journal; where the node halted by time, the one it stands at.

    The configuration is asked only where the journal names nothing: it may name the next halt already.
    """
    newest = _newest(case)
    by = halted_by(case.reading, case.node, case.data)
    height = by[0] if by is not None else settings(case)[0]
    if height and newest is not None and height <= newest:
        return height
    return case.stands_at


def is_over(case: Case) -> Guard:
    """An operator said that the halt at this node's halt height is over. Nothing else can tell."""
    name = "halt_is_over"
    height, given = halts_at(case), case.reading.bundle["settings"]
    if variables.IS_OVER not in given:
        configured = ", as its configuration says" if height is not None and settings(case)[0] == height else ""
        return refused(
            name,
            f"{case.host} halted at height {height}{configured}. This may be a coordinated halt: ask the other operators. "
            f"Once it is over, run again with -e {variables.IS_OVER}={height} -e \"{variables.IS_OVER_REASON}='who said so'\".",
        )
    if given[variables.IS_OVER] != height:
        return refused(
            name,
            f"{variables.IS_OVER} says that the halt at {given[variables.IS_OVER]} is over, but {case.host} halted at {height}. Nothing is "
            "said about that one.",
        )
    return clear(name, f'An operator said that the halt at {height} is over: "{given[variables.IS_OVER_REASON]}".')


def configuration(case: Case) -> Guard:
    """What is cleared is why the node halted, stands in app.toml alone, and is what was approved."""
    name, reached_now = "configuration", reached(case)
    values = dict(zip((HEIGHT, TIME), settings(case)))
    by = halted_by(case.reading, case.node, case.data)
    for index, (key, value) in enumerate(values.items()):
        entry = case.data.config.inner(key)
        source = entry.text("source") if entry is not None else None
        if value is None:
            return refused(name, f"{key} on {case.host} cannot be read, so it is not changed.")
        if value and source != "app.toml":
            where = {"flag": "a flag", "env": "a variable"}.get(source or "", "something else than a file")
            return refused(name, f"{key} on {case.host} is {value} by {where} of the unit. Remove it there by hand.")
        if value and reached_now is not None and key not in reached_now:
            return refused(
                name,
                f"{key} on {case.host} is {value}, which is still ahead: it is not why the node halted, and nobody said that "
                "it is over. Change the file by hand.",
            )
        if value and by is not None and by[index] != value:
            return refused(
                name,
                f"{key} on {case.host} is {value}, but the node halted by {by[index] or 'none'}: it was set since. "
                "Find out why.",
            )
    if reached_now is None:
        return refused(
            name, f"Whether {case.host} has come to its halt time cannot be told: nobody shows the last block's."
        )
    wanted = _parameters(to_clear(case))
    approved = wanted if case.approved is None else {name: case.approved.get(name) for name in wanted}
    if approved != wanted:
        return refused(
            name,
            f"The approved step clears halt height {approved['expected']} and halt time {approved['expected_time']}, but "
            f"{case.host} names {values[HEIGHT]} and {values[TIME]} now. Diagnose again.",
        )
    return clear(name, "The halt height stands in app.toml and nowhere else.")


def to_clear(case: Case) -> dict[str, int]:
    """Both values as app.toml has to name them when they are cleared: 0 for one that is not set."""
    values = reached(case) or {}
    return {key: values.get(key, 0) for key in (HEIGHT, TIME)}


def _parameters(cleared: dict[str, int]) -> dict[str, int]:
    """The values that a step clears, by the names of the options that they are given to."""
    return {"expected": cleared[HEIGHT], "expected_time": cleared[TIME]}


def _texts(case: Case) -> Texts:
    height, at = settings(case)
    return Texts(
        f"app.toml on {case.host} names halt-height {height} and halt-time {at}: the node does not execute the block "
        f"there. {is_over(case).because}",
        f"With the unit stopped, rename config/app.toml.incident-{DIGEST_MARK} on {case.host} back to config/app.toml.",
        "If the halt is a coordinated one that is not over, this node leaves it.",
    )


REMEDY = Remedy(
    blocker=HEIGHT,
    blocks=_blocks,
    removed=_removed,
    change=Change(
        CLEAR_HALT,
        is_cleared,
        "No halt height that {host} has come to is configured there any more.",
        _texts,
        (is_over, configuration, stop.unit_stopped),
        lambda case: _parameters(to_clear(case)),
    ),
    starts="past its halt height",
)
