# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report and the picture: what they must say, and that a stranger's text stays text."""

from __future__ import annotations

import html.parser
import pathlib
import re
import subprocess
import typing as t
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import chart
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain, timeline
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import markdown, report, runbook
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "a", "pre", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td", "svg", "defs", "pattern", "circle", "path", "rect", "text"),
}
EMPTY = {"meta"}


class Reader(html.parser.HTMLParser):
    """Collects the tags, links and text of a page, and whether every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        assert not [name for name, _value in attrs if name.startswith("on")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_everything_and_loads_nothing() -> None:
    page = report.html(samples.record())
    read = Reader(page)
    assert read.tags <= ALLOWED
    assert not read.open
    assert "default-src 'none'" in page
    assert set(read.links) == {url for _name, url in runbook.DASHBOARDS}
    for said in (
        "Recovered. At the diagnosis: the chain is halted.",
        "STOPPED since 2026-05-04 10:02:05",
        "power seen voting 42 -> 76 (67 needed)",
        "Please look whether your node runs.",
        f"Plan {samples.record()['plan']['digest']} approved by ops@laptop.",
        "Recovery proven: Blocks come again (9 new).",
        "systemctl stop virtengine.service on vh1",
        "2026-05-04 10:07:03 UTC",
        "2026-05-06 10:05:30 UTC",
        "ab" * 32,
    ):
        assert said in read.text, said
    assert samples.record()["head"] in read.text


def test_markdown_says_the_same() -> None:
    text = report.markdown(samples.record()).replace("\\", "")
    for said in (
        "# Incident virtengine-1-4711-8B010233",
        "| vh1 | 0101010101010101010101010101010101010101 | 34 | 34.0 % | ours | STOPPED since",
        "42 of 100 vote, 67 needed",
        "| 3 | start the node on vh1 |",
        "Recovery proven: Blocks come again (9 new).",
        "[Chain Health](https://grafana.virtengine.com/d/chain-health)",
    ):
        assert said in text, said


def test_many_voting_validators_are_folded_and_none_is_lost() -> None:
    record = samples.record("planned", verdict=samples.verdict(samples.large_rows()))
    page = report.html(record)
    assert "<summary>134 validators that vote, power 75809093</summary>" in page
    read = Reader(page)
    for number in range(1, 201):
        if number != 3:
            assert f"operator-{number}" in read.text or f"vh{number}" in read.text
    assert read.tags <= ALLOWED


def test_break_glass_is_told_with_its_reason_and_its_person() -> None:
    record = samples.record(entries=samples.entries(reason="vh9 burnt down, seen on site"))
    for text in (report.html(record), report.markdown(record)):
        assert "vh9 burnt down, seen on site" in text


@pytest.mark.parametrize(
    ("severity", "within", "until"),
    [
        ("SEV-1", "5 min", "2026-05-04 10:07:03 UTC"),
        ("SEV-2", "15 min", "2026-05-04 10:17:03 UTC"),
        ("SEV-3", "1 h", "2026-05-04 11:02:03 UTC"),
        ("SEV-4", "24 h", "2026-05-05 10:02:03 UTC"),
        (None, "5 min", "2026-05-04 10:07:03 UTC"),
    ],
)
def test_the_first_response_is_due_by_severity(severity: str | None, within: str, until: str) -> None:
    assert runbook.clocks(severity, samples.STOOD_AT, None)[0][1:] == (within, until)


def test_clocks_without_a_start_say_so() -> None:
    rows = runbook.clocks("SEV-1", None, None)
    assert rows[0][2] == "?"
    assert rows[-1][2] == "48 h after it is resolved"


def test_a_healthy_verdict_has_no_clocks() -> None:
    record = samples.record("diagnosed", verdict=samples.verdict(status="healthy", severity=None), plan=None)
    assert "Clocks" not in Reader(report.html(record)).text


def test_an_action_that_never_ended_is_told() -> None:
    cut_off = [entry for entry in samples.entries() if entry["kind"] != "action_finished"]
    assert {one.result for one in timeline.done(cut_off)} == {"begun, its end is not on record"}
    assert [one.result for one in timeline.done(samples.entries())] == ["done"] * 5


@pytest.mark.parametrize(
    ("data", "result"),
    [
        ({"needed": False, "ok": True}, "not needed any more"),
        ({"needed": True, "ok": False, "because": "a later vote"}, "not taken: a later vote"),
    ],
)
def test_a_step_that_was_not_taken_is_told(data: dict[str, t.Any], result: str) -> None:
    named = {"step": 1, "host": "vh1", "action": "start_node"}
    entry = hash_chain.entry("", 1, "2026-05-04T10:00:00Z", "run-1", "guard", {**named, **data})
    assert [one.result for one in timeline.done([entry])] == [result]


def test_the_printed_check_finds_a_change(tmp_path: pathlib.Path) -> None:
    record = samples.record()
    command = re.search(r"```text\n(python3 -c .*?)\n```", report.markdown(record), re.DOTALL)
    assert command is not None
    lines = [hash_chain.line(entry) for entry in record["entries"]]

    def run() -> str:
        (tmp_path / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))
        return subprocess.run(["sh", "-c", command[1]], cwd=tmp_path, capture_output=True, check=True, text=True).stdout

    told = run()
    assert "DOES NOT FIT" not in told
    assert told.splitlines()[-1] == f"head {record['head']}"
    lines[3] = lines[3].replace("10:04:10", "10:04:11", 1)
    assert "4 2026-05-04T10:04:11.400000Z plan DOES NOT FIT" in run()


def test_the_picture_is_xml_with_the_line_where_quorum_is() -> None:
    root = ET.fromstring(chart.svg(samples.verdict()))
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "42 of 100 voting power votes, 67 is needed" in texts
    assert "quorum: 67 needed" in texts
    assert "STOPPED: power 34 (34.0 %), 1 validator, 1 of them ours" in texts
    assert any((node.get("d") or "").startswith("M670 ") for node in root.iter("{http://www.w3.org/2000/svg}path"))


def test_without_power_the_picture_says_so() -> None:
    power = {"total": 0, "quorum": 1, "voting": 0, "absent": 0, "unknown": 0, "to_quorum": 1}
    assert "cannot be counted" in chart.svg(samples.verdict([], power=power))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b `c` <b>&", "a \\| b \\`c\\` &lt;b>&amp;"),
        ("[x](javascript:1) ![y](z)", "\\[x\\](javascript:1) \\!\\[y\\](z)"),
        ("# big", "\\# big"),
        ("- item", "\\- item"),
        ("---", "\\---"),
        ("1. item", "1\\. item"),
        ("34.0 %", "34.0 %"),
        ("> quote", "\\> quote"),
        ("see http://a.example www.b.example @all #1", "see http&#58;//a.example www&#46;b.example \\@all \\#1"),
        ("{{ x }} ${y} ~z~", "\\{\\{ x \\}\\} \\$\\{y\\} \\~z\\~"),
    ],
)
def test_markdown_of_a_stranger_stays_text(text: str, shown: str) -> None:
    assert markdown.escaped(text) == shown


hostile = st.text(max_size=60) | st.sampled_from(
    [samples.HOSTILE, "</pre><script>", "' onload=x", "]]><!--", "```\n# x", "a\n\n- b", "</svg><img src=x onerror=y>"]
)


@settings(max_examples=60)
@given(st.data())
def test_no_text_of_a_stranger_becomes_markup(data: st.DataObject) -> None:
    def strange() -> t.Any:
        return data.draw(hostile)

    record = samples.record()
    for row in record["verdict"]["validators"]:
        row.update(name=strange(), detail=strange(), address=strange(), since=strange(), state=strange())
    record["verdict"].update(summary=strange(), notes=[strange()], chain_id=strange(), last_block_hash=strange())
    record["verdict"]["causes"][0].update(statement=strange(), because=strange())
    record["plan"]["steps"][0].update(host=strange(), action=strange(), why=strange(), undo=strange(), risk=strange())
    record["plan"]["messages"][0].update(text=strange(), to=[{"name": strange(), "address": strange(), "power": 1}])
    for entry in record["entries"]:
        entry["data"] = {key: strange() for key in entry["data"]}
    record["id"] = strange()
    page = report.html(record)
    read = Reader(page)
    assert read.tags <= ALLOWED
    assert not read.open
    assert set(read.links) == {url for _name, url in runbook.DASHBOARDS}
    ET.fromstring(chart.svg(record["verdict"]))
    plain = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", report.markdown(record))
    assert "<" not in plain
    assert plain.count("](") == len(runbook.DASHBOARDS) + plain.count("\\](")


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)),
    st.data(),
)
def test_entries_of_another_shape_are_told_all_the_same(body: t.Any, data: st.DataObject) -> None:
    kind = data.draw(
        st.sampled_from(["plan", "guard", "lock", "note", "approved", "verified", "run_finished", "other"])
    )
    if isinstance(body, dict):
        body["because"] = body["held_on"] = body["steps"] = data.draw(st.lists(st.lists(st.integers())) | st.text())
    entry = {"kind": kind, "data": body}
    assert "\n" not in timeline.describe(entry)
    timeline.done([entry])
