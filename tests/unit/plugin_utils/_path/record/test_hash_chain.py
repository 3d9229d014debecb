# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash chain of a record: what was changed, dropped, moved or cut is found."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain
from hypothesis import given
from hypothesis import strategies as st

AT = "2026-05-04T10:00:00.000000Z"

KINDS = ("run_started", "evidence", "verdict", "plan", "run_finished")


def journal(count: int = 5, data: t.Any = None) -> list[str]:
    """Lines of a whole journal."""
    lines: list[str] = []
    head = ""
    for seq in range(1, count + 1):
        body = {"n": seq, "text": "vh1 | <b>", "seq": 3} if data is None else data
        made = hash_chain.entry(head, seq, AT, "run-1", KINDS[seq % len(KINDS)], body)
        lines.append(hash_chain.line(made))
        head = made["hash"]
    return lines


def test_a_whole_chain_has_its_last_entry_as_head() -> None:
    lines = journal(3)
    head = hash_chain.verify(lines)
    assert head.seq == 3
    assert not head.torn
    assert f'"hash":"{head.hash}"' in lines[-1]
    assert hash_chain.verify(lines, expected_head=head.hash) == head


def test_an_empty_journal_has_an_empty_head() -> None:
    assert hash_chain.verify([]) == hash_chain.Head("", 0)


def test_an_earlier_head_is_still_found_after_more_was_written() -> None:
    lines = journal(5)
    early = hash_chain.verify(lines[:3]).hash
    assert hash_chain.verify(lines, expected_head=early).seq == 5


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [lines[0], "", *lines[1:]], 2),
        (lambda lines: [lines[0], lines[1][:40], *lines[2:]], 2),
        (lambda lines: [lines[0], "{}", *lines[1:]], 2),
        (lambda lines: [lines[0], "[" * 100_000, *lines[1:]], 2),
        (lambda lines: [*lines[:4], lines[4].replace('"kind"', '"Kind"')], 5),
        (lambda lines: [*lines[:4], lines[4].replace(":", ": ", 1)], 5),
        (lambda lines: [*lines[:3], lines[3] + lines[4]], 4),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(broken: t.Callable[[list[str]], list[str]], line: int) -> None:
    with pytest.raises(hash_chain.BrokenRecord) as caught:
        hash_chain.verify(broken(journal()))
    assert caught.value.line == line
    assert f"line {line}" in str(caught.value)


def test_an_entry_that_was_renumbered_and_hashed_again_is_found() -> None:
    first = hash_chain.entry("", 1, AT, "run-1", "note", {})
    third = hash_chain.entry(first["hash"], 3, AT, "run-1", "note", {})
    with pytest.raises(hash_chain.BrokenRecord, match="number 3, it should be 2"):
        hash_chain.verify([hash_chain.line(first), hash_chain.line(third)])


def test_a_cut_end_shows_against_the_head_only() -> None:
    lines = journal()
    head = hash_chain.verify(lines).hash
    assert hash_chain.verify(lines[:-1]).seq == 4
    with pytest.raises(hash_chain.BrokenRecord, match="cut off"):
        hash_chain.verify(lines[:-1], expected_head=head)
    with pytest.raises(hash_chain.BrokenRecord, match="cut off"):
        hash_chain.verify([], expected_head=head)


@given(st.data())
def test_a_line_that_a_killed_run_left_is_torn_and_said_so(data: st.DataObject) -> None:
    lines = journal(3)
    cut = data.draw(st.integers(min_value=0, max_value=len(lines[2]) - 1))
    head = hash_chain.verify([*lines[:2], lines[2][:cut]])
    assert head.torn
    assert head.seq == 2
    assert head.hash == hash_chain.verify(lines[:2]).hash


@given(st.data())
def test_any_changed_character_is_found(data: st.DataObject) -> None:
    lines = journal(3)
    head = hash_chain.verify(lines).hash
    which = data.draw(st.integers(min_value=0, max_value=2))
    where = data.draw(st.integers(min_value=0, max_value=len(lines[which]) - 1))
    sign = data.draw(st.characters().filter(lambda other: other != lines[which][where]))
    changed = [*lines]
    changed[which] = lines[which][:where] + sign + lines[which][where + 1 :]
    with pytest.raises(hash_chain.BrokenRecord):
        hash_chain.verify(changed, expected_head=head)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_data_comes_through(data: t.Any) -> None:
    lines = journal(2, data)
    assert all(line.isascii() and "\n" not in line for line in lines)
    assert hash_chain.verify(lines).seq == 2


def test_what_is_read_back_is_what_was_hashed() -> None:
    made = hash_chain.entry("", 1, AT, "run-1", "note", {9: (1, 2), 10: None})
    assert made["data"] == {"9": [1, 2], "10": None}
    assert hash_chain.verify([hash_chain.line(made)]).seq == 1
