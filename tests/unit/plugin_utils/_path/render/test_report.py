# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: HTML and Markdown say the same, load nothing, and a stranger's text stays text."""

from __future__ import annotations

import html.parser
import pathlib
import re
import subprocess
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import html as page
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import markdown
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "a", "b", "pre", "details"),
    *("summary", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "defs", "pattern", "circle", "path", "rect", "text"),
}
EMPTY = {"meta"}
LINKS = {entry["url"] for entry in samples.DASHBOARDS[:2]}


class Reader(html.parser.HTMLParser):
    """Collects the tags, links and text of a page, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
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


def read(record: dict[str, t.Any]) -> Reader:
    return Reader(page.page(record))


def bare(record: dict[str, t.Any]) -> str:
    """The Markdown of a report without the signs that keep text text."""
    return markdown.page(record).replace("\\", "")


def test_the_page_says_everything_and_loads_nothing() -> None:
    record = samples.record()
    found = read(record)
    assert found.tags <= ALLOWED
    assert not found.open
    assert "default-src 'none'" in page.page(record)
    assert set(found.links) == LINKS
    for said in (
        "Recovered. At the diagnosis: the pool is short.",
        "About: pool web",
        "Release: 42",
        "STOPPED since 2026-05-04 10:02:05",
        "load seen served 42 -> 76 (67 needed)",
        "Please look whether your server runs.",
        f"Plan {record['plan']['digest']} approved by ops@laptop.",
        "Recovery proven: The pool serves 88 again.",
        "systemctl stop web.service on web1",
        "page the schedule web-2",
        "2026-05-04 10:07:03 UTC",
        "2026-05-06 10:05:30 UTC",
        "ab" * 32,
        record["head"],
    ):
        assert said in found.text, said


def test_markdown_says_the_same() -> None:
    text = bare(samples.record())
    for said in (
        "# Incident pool-pool_web-20260504T100203Z",
        "| web1 | web1-0123456789abcdef | 34 | ours | STOPPED since 2026-05-04",
        "42 of 100 served, 67 needed",
        "| 3 | start the server on web1 |",
        "Recovery proven: The pool serves 88 again.",
        "[Pool health](https://grafana.example.net/d/pool)",
        "| Secondary on-call | page the schedule web-2 |",
    ):
        assert said in text, said


def test_dashboards_of_other_incidents_and_none_at_all_are_not_shown() -> None:
    assert "d/other" not in read(samples.record()).text
    nothing = samples.record(contacts=[], dashboards=[])
    assert "Dashboards" not in read(nothing).text
    assert not read(nothing).links


def test_many_good_rows_are_folded_and_none_is_lost() -> None:
    record = samples.record("planned", verdict=samples.verdict(samples.large_rows()))
    found = read(record)
    assert "<summary>134 more</summary>" in page.page(record)
    for number in range(1, 201):
        if number != 3:
            assert f"member-{number}-0123456789abcdef" in found.text
    assert found.tags <= ALLOWED


def test_without_rows_it_says_so() -> None:
    record = samples.record("diagnosed", verdict=samples.verdict([]), plan=None)
    for text in (read(record).text, bare(record)):
        assert "No server shows the pool, so its load cannot be counted." in text
        assert "Not in the pool: web8 STOPPED" in text


def test_a_plan_without_steps_says_what_is_left() -> None:
    plan = samples.plan(steps=[], messages=[], decision="Operator decision: is web9 off.")
    for text in (read(samples.record("diagnosed", plan=plan)).text, bare(samples.record("diagnosed", plan=plan))):
        assert "No step is planned." in text
        assert "Operator decision: is web9 off." in text
        assert "Messages to send" not in text


def test_until_when_a_plan_may_be_approved_is_said() -> None:
    plan = samples.plan(samples.pool(valid_s=600))
    assert f"Digest: {plan['digest']}, valid until {plan['expires_at']}" in read(samples.record(plan=plan)).text


def test_every_cause_has_its_chapter_and_its_commands() -> None:
    found = read(samples.record())
    assert "67 of 100 are needed. (runbook: 7. Pool, Resolution Step 2)" in found.text
    assert "journalctl -u web.service -n 50 | tail # the last lines" in found.text


def test_another_incident_behind_this_one_is_named() -> None:
    handed = samples.verdict(hand_over=[{"incident": "disk_full", "because": "the disk of web1 is full"}])
    assert "Run disk_full.yml: the disk of web1 is full" in read(samples.record(verdict=handed)).text


def test_break_glass_is_told_with_its_reason_and_its_person() -> None:
    record = samples.record(entries=samples.entries(reason="web9 burnt down, seen on site"))
    for text in (page.page(record), markdown.page(record)):
        assert "Break-glass by ops" in text
        assert "web9 burnt down, seen on site" in text


def test_a_healthy_verdict_has_no_clocks() -> None:
    record = samples.record("diagnosed", verdict=samples.verdict(status="healthy", severity=None), plan=None)
    assert "Clocks" not in read(record).text
    assert "Clocks" in read(samples.record()).text


def test_clocks_count_from_the_first_run_where_the_start_is_not_known() -> None:
    text = read(samples.record(verdict=samples.verdict(started_at=None))).text
    assert "Counted from the start of the first run, 2026-05-04 10:04:00 UTC." in text


def test_the_printed_check_finds_a_change(tmp_path: pathlib.Path) -> None:
    record = samples.record()
    command = re.search(r"```text\n(python3 -c .*?)\n```", markdown.page(record), re.DOTALL)
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


def test_a_bracket_in_an_address_ends_no_link() -> None:
    boards = [{"name": "x", "url": "https://a.example/)[y](javascript:alert(1))"}]
    text = markdown.page(samples.record(dashboards=boards))
    assert "- [x](https://a.example/%29[y]%28javascript:alert%281%29%29)" in text


hostile = st.text(max_size=60) | st.sampled_from(
    [samples.HOSTILE, "</pre><script>", "' onload=x", "]]><!--", "```\n# x", "a\n\n- b", "</svg><img src=x onerror=y>"]
)


def strange_record(strange: t.Callable[[], str]) -> dict[str, t.Any]:
    record = samples.record()
    verdict, plan = record["verdict"], record["plan"]
    for table in verdict["tables"]:
        table.update(title=strange(), after=[strange()])
        for row in table["rows"]:
            row.update(cells=[strange() for _cell in row["cells"]], name=strange(), state=strange(), looks=strange())
    verdict["gauges"][0].update(words=strange(), legend=strange(), line=strange(), unit=strange())
    verdict.update(summary=strange(), notes=[strange()], subject=strange(), headline=strange(), severity=strange())
    verdict.update(facts=[[strange(), strange()]], next=[strange()])
    verdict["hand_over"] = [{"incident": strange(), "because": strange()}]
    verdict["causes"][0].update(statement=strange(), because=strange(), runbook_step=strange(), by_hand=[strange()])
    plan["steps"][0].update(what=strange(), hosts=[strange()], why=strange(), undo=strange(), risk=strange())
    plan["steps"][2]["impact"].update(label=strange())
    plan["messages"][0].update(text=strange(), about=strange(), to=[{"name": strange(), "detail": strange()}])
    plan["withheld"][0].update(what=strange(), why=strange())
    plan["decision"] = strange()
    for entry in record["entries"]:
        entry["data"] = {key: strange() for key in entry["data"]}
    record["contacts"] = [{"who": strange(), "how": strange()}]
    record["dashboards"] = [{**entry, "name": strange()} for entry in record["dashboards"]]
    return {**record, "id": strange()}


@settings(max_examples=60)
@given(st.data())
def test_no_text_of_a_stranger_becomes_markup(data: st.DataObject) -> None:
    record = strange_record(lambda: data.draw(hostile))
    found = read(record)
    assert found.tags <= ALLOWED
    assert not found.open
    assert set(found.links) == LINKS
    plain = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", markdown.page(record))
    assert "<" not in plain
    assert plain.count("](") == len(LINKS) + plain.count("\\](")
