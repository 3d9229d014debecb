# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a gauge: XML whatever the names are, and no part reaches a line that the value does not reach."""

from __future__ import annotations

import dataclasses
import typing as t
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import chart
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.verdict import LOOKS, Gauge, Row
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples
from tests.unit.plugin_utils._path.render.lines import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"


def drawn(rows: list[Row], gauge: Gauge | None = None) -> ET.Element:
    """The root of the picture; that it is read at all is the first thing tested."""
    plain = dataclasses.asdict(gauge or samples.gauge(rows))
    return ET.fromstring(chart.svg(plain, [dataclasses.asdict(row) for row in rows]))


def texts(root: ET.Element) -> list[str]:
    return [node.text or "" for node in root.iter(f"{SVG}text")]


def line(root: ET.Element) -> int:
    (path,) = [node.get("d") or "" for node in root.iter(f"{SVG}path") if node.get("stroke-width") == "4"]
    return int(path[1:].split()[0])


def ends(root: ET.Element, colour: str) -> list[int]:
    """Where the parts of the bar in this colour end."""
    parts = [node for node in root.iter(f"{SVG}rect") if node.get("y") == str(chart.BAR_TOP)]
    return [int(node.get("x", 0)) + int(node.get("width", 0)) for node in parts if node.get("fill") == colour]


GOOD = chart._LOOKS["good"][0]


def test_the_line_is_where_the_need_is() -> None:
    root = drawn(samples.small_rows())
    said = texts(root)
    assert said[0] == "42 of 100 served, 67 needed"
    assert "needed load: 67 needed" in said
    assert "STOPPED: load 34 (34.0 %), 1 in number, 1 of them ours" in said
    assert "served, may be old: load 12 (12.0 %), 1 in number, 0 of them ours" in said
    assert line(root) == 670
    assert max(ends(root, GOOD)) == 420


def test_every_look_has_a_picture_of_its_own() -> None:
    assert set(chart._LOOKS) == set(LOOKS)
    assert len(set(chart._LOOKS.values())) == len(LOOKS)


@given(st.lists(st.tuples(st.sampled_from(LOOKS), st.integers(0, 2**64)), min_size=1, max_size=60), st.data())
def test_no_part_that_serves_reaches_a_line_that_the_value_does_not_reach(
    parts: list[tuple[str, int]], data: st.DataObject
) -> None:
    rows = [samples.row(f"m{n}", weight, looks, looks) for n, (looks, weight) in enumerate(parts)]
    total = sum(weight for _looks, weight in parts)
    if total == 0:
        return
    gauge = samples.gauge(rows, data.draw(st.integers(1, 2 * total)))
    root = drawn(rows, gauge)
    if gauge.value < gauge.needed:
        assert all(end < line(root) for end in ends(root, GOOD))
    assert all(end <= chart.WIDTH for colour, _pattern in chart._LOOKS.values() for end in ends(root, colour))
    assert line(root) <= chart.WIDTH


def test_many_parts_are_drawn_by_how_they_are() -> None:
    root = drawn(samples.large_rows())
    assert len([node for node in root.iter(f"{SVG}rect") if node.get("y") == str(chart.BAR_TOP)]) < 10
    assert any(text.startswith("134 serving") for text in texts(root))


@pytest.mark.parametrize("change", [{"total": 0}, {"total": None}, {"needed": "67"}, {"total": -1}])
def test_without_anything_that_can_be_counted_only_the_words_are_left(change: dict[str, t.Any]) -> None:
    gauge = samples.gauge(samples.small_rows(), words="cannot be counted", **change)
    assert texts(drawn(samples.small_rows(), gauge)) == ["cannot be counted"]
    assert texts(drawn([], samples.gauge([], words="cannot be counted"))) == ["cannot be counted"]


@given(st.data())
def test_no_text_of_a_stranger_becomes_markup(data: st.DataObject) -> None:
    def strange() -> str:
        return data.draw(HOSTILE | st.sampled_from(["</svg><img src=x onerror=y>", "]]><!--", "' onload='x"]))

    rows = [
        samples.row(strange(), data.draw(st.integers(0, 2**70)), data.draw(st.sampled_from(LOOKS) | HOSTILE), strange())
        for _number in range(data.draw(st.integers(0, 50)))
    ]
    gauge = samples.gauge(rows, words=strange(), line=strange(), unit=strange(), title=strange())
    root = drawn(rows, gauge)
    allowed = {f"{SVG}{name}" for name in ("svg", "style", "defs", "pattern", "circle", "path", "rect", "text")}
    assert {node.tag for node in root.iter()} <= allowed
    assert not [name for node in root.iter() for name in node.attrib if name.startswith("on") or "href" in name]
