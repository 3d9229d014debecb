# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen: what it must say, and that no text of a stranger breaks it."""

from __future__ import annotations

import shlex
import subprocess
import typing as t
import unicodedata

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import layout as _screen_text
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import report, screen
from ansible_collections.virtengine.incident.plugins.plugin_utils._path import text as _text
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples

COMMAND = "ansible-playbook chain_halt.yml -i validators -e incident_approve=halt-0123456789abcdef"
OUTCOMES = ("diagnosed", "planned", "recovered", "not_recovered", "refused")
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def final(verdict: dict[str, t.Any] | None = None, plan: dict[str, t.Any] | None = None, **changes: t.Any) -> list[str]:
    given_args = {
        "approve_command": COMMAND,
        "record_path": "/srv/records/virtengine-1-4711-8B010233/report.html",
        "head_hash": "ab" * 32,
        "outcome": "planned",
        **changes,
    }
    return screen.final(verdict or samples.verdict(), plan or samples.plan(), **given_args)


def columns(line: str) -> int:
    """The width of a line, as a terminal that draws wide signs over two columns gives it."""
    return sum(
        0 if unicodedata.category(sign) in ("Mn", "Me") else 1 + (unicodedata.east_asian_width(sign) in ("W", "F"))
        for sign in line
    )


def fits(lines: list[str]) -> bool:
    return all(
        columns(line) <= 100 and not any(unicodedata.category(sign) in UNSEEN for sign in line) for line in lines
    )


def section(lines: list[str], title: str) -> list[str]:
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    end = next((number for number in range(start, len(lines)) if lines[number] == ""), len(lines))
    return lines[start:end]


def test_the_table_names_the_missing_first_by_power() -> None:
    table = section(final(), "WHO VOTES")
    assert [line.split()[0] for line in table[2:7]] == ["vh1", "vh3", "operator-5", "operator-4", "vh2"]
    assert "STOPPED since 10:02:05: virtengine.service is inactive" in table[2]
    assert "42 of 100 vote, 67 needed" in table[7]
    assert table[8] == "  Not validators: sentry2 STOPPED, 1 running (sentry1)."


def test_one_screen_says_verdict_plan_and_the_command() -> None:
    lines = final()
    text = "\n".join(lines)
    assert len(lines) <= 45
    assert text.isascii()
    assert "A PLAN IS READY, NOTHING HAS BEEN DONE: THE CHAIN IS HALTED" in lines[0]
    assert lines[0].endswith("SEV-1 ==")
    assert "3. start the node on vh1   power seen voting 42 -> 76 (67 needed)" in text
    assert f"    {COMMAND}" in lines
    assert "ruled out: not halted - the newest block" in text
    assert "cannot tell: other operators do not vote - missing: what a node outside" in text
    assert "to operator-5 (12)" in text
    assert "ab" * 32 in lines[-1]


def test_a_since_of_another_day_has_its_date() -> None:
    rows = [samples.row(1, 3, "ours", "stopped", since="2026-05-02T08:00:00Z"), samples.row(2, 4, "ours", "voting")]
    assert "STOPPED since 2026-05-02 08:00:00" in "\n".join(final(samples.verdict(rows)))


def test_two_hundred_validators_are_folded_and_the_missing_power_is_not() -> None:
    verdict = samples.verdict(samples.large_rows())
    lines = final(verdict)
    assert len(lines) <= 55
    table = section(lines, "WHO VOTES")
    assert any("134 vote, power" in line for line in table)
    assert any("54 more are not seen voting, power" in line for line in table)
    assert fits(lines)


def test_every_host_of_a_long_plan_is_named() -> None:
    steps = [samples.step(number, "start_node", f"host{number}", number, number + 1) for number in range(1, 61)]
    text = "\n".join(final(plan=samples.plan(steps=steps)))
    for number in range(1, 61):
        assert f"host{number}" in text
    assert "power seen voting 1 -> 61 (67 needed)" in text


def test_break_glass_shows_its_risk() -> None:
    broken = samples.step(
        1, "start_node", "vh1", 42, 76, break_glass=True, risk="Break-glass, not excluded: vh9 is silent."
    )
    for count in (1, 20):
        more = [samples.step(number, "start_node", f"host{number}", 1, 1) for number in range(2, count + 1)]
        text = "\n".join(final(plan=samples.plan(steps=[broken, *more])))
        assert "BREAK-GLASS (vh1) Break-glass, not excluded: vh9 is silent." in text


def test_a_withheld_step_that_break_glass_allows_is_said() -> None:
    held = [{"host": "vh1", "address": None, "action": "start_node", "why": "vh9 is silent.", "break_glass": True}]
    text = "\n".join(final(plan=samples.plan(steps=[], withheld=held, decision="Not for an automation.")))
    assert "NO STEP IS PLANNED" in text
    assert "not done: start the node on vh1: vh9 is silent." in text
    assert "incident_break_glass_reason='...'" in text


@pytest.mark.parametrize("outcome", [outcome for outcome in OUTCOMES if outcome not in ("planned", "refused")])
def test_the_command_is_shown_only_where_it_can_be_given(outcome: str) -> None:
    assert "incident_approve=" not in "\n".join(final(outcome=outcome))


def test_saved_evidence_cannot_be_approved() -> None:
    assert "saved evidence" in "\n".join(final(approve_command=None))


def test_a_refusal_says_why_first() -> None:
    lines = final(outcome="refused", lines=["The world changed. Nothing was done.", "  height: 4711 then, 4712 now"])
    assert lines[0].startswith("== REFUSED: ")
    assert lines[1:3] == ["The world changed. Nothing was done.", "  height: 4711 then, 4712 now"]


def test_a_recovery_ends_with_the_postmortem() -> None:
    after = samples.verdict(status="healthy", severity=None, summary="Chain virtengine-1 runs.", confirmed=True)
    lines = final(after, outcome="recovered", lines=["Blocks come again (9 new)."])
    assert lines[0].startswith("== RECOVERED: THE CHAIN RUNS ")
    assert "Blocks come again (9 new)." in lines
    assert "postmortem, within 48 hours" in "\n".join(section(lines, "WHAT TO DO NEXT"))


def test_without_a_record_the_message_is_shown_whole() -> None:
    text = "\n".join(final(record_path=None, head_hash=None))
    assert "Please look whether your node runs." in text
    assert "No record of this run is kept." in text


def test_without_a_validator_set_it_says_so() -> None:
    power = {"total": 0, "quorum": 1, "voting": 0, "absent": 0, "unknown": 0, "to_quorum": 1}
    empty = samples.verdict([], status="unknown", severity="SEV-1", causes=[], refuted=[], cannot_tell=[], power=power)
    lines = final(empty, outcome="diagnosed")
    assert "CANNOT TELL WHETHER THE CHAIN RUNS" in lines[0]
    assert any("voting power cannot be counted" in line for line in lines)
    assert "  Our hosts: sentry2 STOPPED, 1 running (sentry1)." in lines
    young = {**empty, "severity": None}
    assert "NO HALT SEEN SO FAR, NOT CONFIRMED YET" in final(young, outcome="diagnosed")[0]


@pytest.mark.parametrize("changes", [{}, {"status": "unknown"}, {"status": "healthy"}, {"status": "degraded"}])
def test_the_first_answer_is_short(changes: dict[str, t.Any]) -> None:
    for rows in (None, samples.large_rows(), []):
        lines = screen.first_answer(samples.verdict(rows, confirmed=False, **changes))
        assert 2 <= len(lines) <= 6
        assert fits(lines)
        assert lines[0].startswith("FIRST ANSWER")


HEADLINES: list[dict[str, t.Any]] = [
    {},
    {"confirmed": False},
    {"status": "healthy"},
    {"status": "degraded"},
    {"status": "unknown"},
    {"status": "unknown", "severity": None},
    {"causes": [{**samples.verdict()["causes"][0], "id": "key_on_two_hosts"}]},
]


@pytest.mark.parametrize("changes", HEADLINES)
def test_no_headline_is_cut(changes: dict[str, t.Any]) -> None:
    verdict = samples.verdict(**changes)
    said = screen.headline(verdict)
    assert screen.first_answer(verdict)[0].endswith(f": {said}")
    for outcome in OUTCOMES:
        assert f": {said} =" in final(verdict, outcome=outcome)[0]


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("block 90 is 47 s old, the limit is 30 s", 38, "block 90 is 47 s old, the limit is .."),
        ("local key files of one address", 20, "local key files .."),
        ("local key files of one address", 21, "local key files of .."),
        ("local key files of one address", 22, "local key files of .."),
        ("it fits", 7, "it fits"),
        ("node 8B01023386C371778ECB6368573E539AFC3CC860", 20, "node 8B01023386C37.."),
    ],
)
def test_a_text_is_not_cut_in_a_word_or_number(text: str, columns: int, shown: str) -> None:
    assert _screen_text.cut(text, columns) == shown


def test_what_is_made_safe_is_not_cut_in_a_word_either() -> None:
    assert _text.clean("the limit of the block is 300 s", 30) == "the limit of the block is..."
    assert _text.clean("the limit of the block is 300 s", 32) == "the limit of the block is 300 s"
    assert _text.clean("the limit of a block is 300 s ago", 32) == "the limit of a block is 300 s..."
    assert _text.clean("x" * 40, 32) == "x" * 29 + "..."


def test_a_wrapped_text_ends_with_a_whole_word() -> None:
    words = "the newest block is 47 s old, the limit is 30 s " * 6
    for start in range(40):
        (line,) = _screen_text.wrap(words, " " * start, most=1)
        assert line.endswith(" ..")
        assert words.startswith(line.strip().removesuffix(".."))


def test_what_the_plan_does_is_not_asked_of_a_person() -> None:
    def next_(hosts: list[str], **changes: t.Any) -> list[str]:
        cause = {**samples.verdict()["causes"][0], "hosts": hosts, "next": "Start them by hand.", **changes}
        verdict = samples.verdict(causes=[cause], next=["Start them by hand.", "Run again."])
        lines = section(final(verdict), "WHAT TO DO NEXT")
        page = report.markdown(samples.record(verdict=verdict))
        assert ("Start them by hand." in page) == ("  - Start them by hand." in lines)
        return [line for line in lines if line.startswith("  - ")]

    both = ["  - Start them by hand.", "  - Run again."]
    assert next_(["vh1", "vh3"]) == ["  - Run again."]
    assert next_(["vh1", "vh4"]) == both, "vh4 has no step"
    assert next_([]) == both, "it is about no host, so no step answers it"
    assert next_(["vh1"], justifies=["wait"]) == both, "the step of vh1 is for something else"


def test_a_step_line() -> None:
    plan = samples.plan()
    assert (
        screen.step_line(plan["steps"][2], "done", plan)
        == "[step 3/5] start the node on vh1: done, power seen voting 42 -> 76 (67 needed)"
    )


@pytest.mark.parametrize(
    ("total", "quorum", "voting", "unknown", "start"),
    [
        (100, 67, 66, 0, "[" + "#" * 33 + ".|"),
        (100, 67, 67, 0, "[" + "#" * 34 + "|"),
        (3, 3, 2, 1, "[" + "#" * 33 + "?" * 17 + "|"),
        (3, 3, 3, 0, "[" + "#" * 50 + "|"),
        (2**63, 2**64 // 3 + 1, 2**64 // 3, 0, "[" + "#" * 33 + ".|"),
    ],
)
def test_the_bar_never_lies_about_the_line(total: int, quorum: int, voting: int, unknown: int, start: str) -> None:
    drawn = _screen_text.power_bar({"total": total, "quorum": quorum, "voting": voting, "unknown": unknown})
    assert drawn is not None
    assert drawn.startswith(start)
    assert drawn.index("]") == 52


@given(st.integers(1, 2**64), st.data())
def test_the_bar_reaches_the_line_exactly_when_the_power_does(total: int, data: st.DataObject) -> None:
    quorum = 2 * total // 3 + 1
    voting = data.draw(st.integers(0, total))
    drawn = _screen_text.power_bar(
        {"total": total, "quorum": quorum, "voting": voting, "unknown": data.draw(st.integers(0, total - voting))}
    )
    assert drawn is not None
    assert ("#|" in drawn) == (voting >= quorum)
    assert drawn.index("]") == 52


@pytest.mark.parametrize(
    "last",
    [["-e", "a b=" + "x" * 30], ["inventories/production/" * 9 + "validators"], ["it's " * 40 + "$HOME `id` \\"]],
)
def test_a_shell_reads_a_long_command_as_it_was_given(last: list[str]) -> None:
    words = ["ansible-playbook", "playbooks/chain_halt.yml", "-i", "inventories/production/eu/validators", *last]
    shown = _screen_text.command(shlex.join(words))
    assert shown is not None
    assert len(shown) > 1
    assert fits(shown)
    ran = subprocess.run(
        ["sh", "-c", "printf '%s\\0' " + "\n".join(shown).lstrip()], capture_output=True, check=True, text=True
    )
    assert ran.stdout.split("\0")[:-1] == words


@given(st.lists(st.text(alphabet=st.sampled_from("ab/='\"{}$ -\\\u5bbf"), min_size=1, max_size=150), min_size=1))
def test_a_shown_command_is_the_given_one(words: list[str]) -> None:
    shown = _screen_text.command(shlex.join(words))
    if shown is not None:
        assert fits(shown)
        assert shlex.split("\n".join(shown).replace("\\\n", "")) == words


def test_a_command_that_a_screen_cannot_show_is_described() -> None:
    text = "\n".join(final(approve_command="ansible-playbook x.yml -e '{\n\"a\": 1}' -e incident_approve=halt-1"))
    assert "run the same command again with -e" in text


hostile = st.text(max_size=400) | st.just(samples.HOSTILE) | st.text(alphabet="\u5bbf\u0301\u202ea\x1b", max_size=400)
powers = st.integers(0, 2**70)


@settings(max_examples=60)
@given(st.data())
def test_no_text_of_a_stranger_breaks_the_screen(data: st.DataObject) -> None:
    def strange() -> t.Any:
        return data.draw(hostile)

    rows = [*samples.small_rows(), samples.row(9, data.draw(powers), "theirs", strange())]
    for row in rows:
        row.update(name=strange(), detail=strange(), address=strange(), since=strange())
    rows[0]["host"] = strange()
    verdict = samples.verdict(rows, summary=strange(), notes=[strange()], next=[strange()], severity=strange())
    verdict["causes"][0].update(statement=strange(), because=strange())
    verdict["refuted"][0].update(statement=strange(), because=strange())
    verdict["cannot_tell"][0].update(statement=strange(), missing=strange())
    verdict["nodes"][0]["host"] = strange()
    plan = samples.plan(decision=strange())
    plan["steps"][0].update(host=strange(), action=strange(), break_glass=True, risk=strange())
    plan["withheld"][0].update(host=strange(), why=strange())
    plan["messages"][0].update(text=strange(), to=[{"name": strange(), "power": data.draw(powers), "address": "x"}])
    path = data.draw(st.none() | hostile)
    lines = final(verdict, plan, lines=[strange()], record_path=path, outcome=data.draw(st.sampled_from(OUTCOMES)))
    assert fits(lines)
    assert fits(screen.first_answer(verdict))
    assert fits([screen.step_line(plan["steps"][0], strange(), plan)])
