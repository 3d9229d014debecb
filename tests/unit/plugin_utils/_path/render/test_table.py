# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table on the screen: what needs attention is not folded away, and no cell breaks its line."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import table
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.layout import fitted
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.verdict import Column, Row
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples
from tests.unit.plugin_utils._path.render.lines import HOSTILE, fits


def lines(rows: list[Row] | None = None, **changes: t.Any) -> list[str]:
    view = samples.view(tables=(samples.table(rows, **changes),), gauges=())
    return table.lines(samples.verdict(view=view)["tables"][0])


def test_the_screen_has_its_own_cells_where_a_row_has_any() -> None:
    shown = lines()
    assert shown[1].endswith("STOPPED since 10:02:05: web.service is inactive (dead)")
    assert "2026-05-04" not in "\n".join(shown)


def test_figures_stand_to_the_right_and_of_a_long_name_the_beginning() -> None:
    head, first, *_rest = lines()
    assert head.index("load") + len("load") == first.index("34") + 2
    assert "web1-012 " in first
    assert "web1-0123" not in first


def test_a_table_without_rows_says_what_stands_in_its_place() -> None:
    assert lines([]) == [
        "  No server shows the pool, so its load cannot be counted.",
        "  Not in the pool: web8 STOPPED, 1 running (web9).",
    ]


@pytest.mark.parametrize("good", [0, 1, 5, 11, 12, 13, 100])
@pytest.mark.parametrize("bad", [0, 1, 11, 12, 13, 200])
def test_no_row_is_lost_and_no_weight(good: int, bad: int) -> None:
    rows = [samples.row(f"bad{number}", 3, "stopped", "STOPPED") for number in range(bad)]
    rows += [samples.row(f"good{number}", 5, "good", "serving", ours=False) for number in range(good)]
    if not rows:
        return
    shown = lines(rows, after=())
    single = [line for line in shown[1:] if line.split()[0].startswith(("bad", "good"))]
    folds = " ".join(" ".join(shown[1:]).split()).split("... ")[1:]
    assert len(single) <= table.MOST_ROWS
    assert sum(line.split()[0].startswith("bad") for line in single) == min(bad, table.MOST_ROWS)
    counted = [fold.split()[0].rstrip(":") for fold in folds]
    assert len(single) + sum(map(int, counted)) == good + bad
    weight = sum(int(fold.partition("load ")[2].partition(",")[0]) for fold in folds)
    assert weight + sum(int(line.split()[2]) for line in single) == 3 * bad + 5 * good
    assert all(fold.rstrip().split("load ")[1].endswith("of them ours") for fold in folds)


def test_the_fold_counts_each_state_and_whose_they_are() -> None:
    shown = lines(samples.large_rows(), after=())
    assert shown[-2] == "  ... 54 more: 43 cannot tell, 11 STOPPED, load 26349921, 11 of them ours"
    assert shown[-1].startswith("  ... 134: 134 serving, load 75809093, 27 of them ours")


def test_a_weight_without_a_unit_is_not_said() -> None:
    assert "load" not in "\n".join(lines(samples.large_rows(), unit="", columns=samples.table().columns[:1]))


@settings(max_examples=40)
@given(st.data())
def test_no_cell_breaks_its_line(data: st.DataObject) -> None:
    def strange() -> str:
        return data.draw(HOSTILE)

    kinds = data.draw(st.lists(st.sampled_from(["text", "number", "id"]), min_size=1, max_size=6))
    columns = tuple(Column(strange(), kind, data.draw(st.integers(1, 40))) for kind in kinds)
    rows = [
        Row(tuple(strange() for _kind in kinds), data.draw(st.sampled_from(["good", "stopped"])), strange(), number)
        for number in range(data.draw(st.integers(0, 14)))
    ]
    shown = lines(rows, columns=columns, after=(strange(),), empty=strange())
    assert fits([fitted(line) for line in shown])
