# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen: what it must say, and that no text of a stranger breaks it."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import screen
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.screen import Ended
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.verdict import LOOKS
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples
from tests.unit.plugin_utils._path.render.lines import HOSTILE, fits, section

COMMAND = "ansible-playbook pool.yml -i inventory -e incident_approve=pool-0123456789abcdef"
OUTCOMES = ("diagnosed", "planned", "recovered", "not_recovered", "refused")
ENDED = Ended(
    "planned",
    approve_command=COMMAND,
    record_path="/srv/records/pool-pool_web-20260504T100203Z/report.html",
    head_hash="ab" * 32,
)


def final(verdict: dict[str, t.Any] | None = None, plan: t.Any = ..., **changes: t.Any) -> list[str]:
    plan = samples.plan() if plan is ... else plan
    return screen.final(verdict or samples.verdict(), plan, dataclasses.replace(ENDED, **changes))


def text(*given: t.Any, **changes: t.Any) -> str:
    return "\n".join(final(*given, **changes))


def test_one_screen_says_verdict_plan_and_the_command() -> None:
    lines = final()
    said = "\n".join(lines)
    assert len(lines) <= 45
    assert said.isascii()
    assert "A PLAN IS READY, NOTHING HAS BEEN DONE: THE POOL IS SHORT" in lines[0]
    assert lines[0].endswith("SEV-1 ==")
    assert len(lines[0]) == 100
    assert "3. start the server on web1   load seen served 42 -> 76 (67 needed)" in said
    assert f"    {COMMAND}" in lines
    assert "because: Servers of ours are stopped or frozen. Stopped or frozen: web1 (34)" in said
    assert "ruled out: the pool is not short - it serves 42" in said
    assert "cannot tell: partners do not serve - missing: what a host outside" in said
    assert "note: web2: the clock is 3 s ahead" in said
    assert "to partner-5 (load 12)" in said
    assert "ab" * 32 in lines[-1]


def test_the_table_stands_above_its_gauge_and_names_what_is_missing_first() -> None:
    table = section(final(), "WHO SERVES AND WHO DOES NOT")
    assert table[0] == ("WHO SERVES AND WHO DOES NOT    (# served, ? cannot be told, | what is needed)"), (
        "what the signs of the bar mean"
    )
    assert [line.split()[0] for line in table[2:7]] == ["web1", "web3", "partner-5", "partner-4", "web2"]
    assert table[7] == "  Not in the pool: web8 STOPPED, 1 running (web9)."
    assert table[8].startswith("  [#####################??????.......|")
    assert table[8].endswith("] 42 of 100 served, 67 needed")


def test_every_gauge_is_shown_also_those_of_no_table() -> None:
    rows = samples.small_rows()
    own = [samples.gauge(rows, table=None, title=f"Gauge {number}", words=f"words {number}") for number in (1, 2)]
    second = samples.gauge(rows, words="second words")
    lines = final(samples.verdict(view=samples.view(gauges=(samples.gauge(rows), second, *own))), None)
    assert [line.split("] ")[1] for line in lines if line.startswith("  [")] == [
        "42 of 100 served, 67 needed",
        "second words",
        "words 1",
        "words 2",
    ]
    assert "GAUGE 1    (# served, ? cannot be told, | what is needed)" in lines


def test_words_that_do_not_fit_behind_the_bar_are_not_cut() -> None:
    rows = [dataclasses.replace(row, weight=row.weight * 10**18) for row in samples.small_rows()]
    words = " ".join(line.strip() for line in section(final(samples.verdict(rows)), "WHO SERVES")[8:])
    assert words.endswith(f"] {42 * 10**18} of {10**20} served, {2 * 10**20 // 3 + 1} needed")


def test_two_hundred_rows_are_folded_and_what_is_missing_is_not() -> None:
    lines = final(samples.verdict(samples.large_rows()))
    assert len(lines) <= 55
    table = section(lines, "WHO SERVES")
    assert any("134 serving, load" in line for line in table)
    assert any("54 more: 43 cannot tell, 11 STOPPED, load" in line for line in table)
    assert fits(lines)


def test_every_host_of_a_long_plan_is_named() -> None:
    said = text(plan=samples.plan(steps=samples.many(60)))
    for number in range(1, 61):
        assert f"host{number}" in said
    assert "load seen served 1 -> 61 (67 needed)" in said


@pytest.mark.parametrize("what", [None, "restart 60 servers", "start the server on web1, web11"])
def test_every_host_of_one_step_is_named(what: str | None) -> None:
    """Also where the words of the incident leave some out, or name one that begins alike."""
    hosts = [f"web{number}" for number in range(1, 61)]
    step = samples.step("start", hosts, 1, 61)
    step["what"] = what or step["what"]
    for more in ([], samples.many(12)):
        plan = section(final(plan=samples.plan(steps=[step, *more])), "THE PLAN")
        named = re.split(r"[\s,()]+", " ".join(plan))
        assert not set(hosts) - set(named)


def test_break_glass_shows_its_risk() -> None:
    broken = samples.step("start", ["web1"], 42, 76, overrides=["elsewhere"], risk="Not excluded: web9 is silent.")
    for count in (0, 19):
        said = text(plan=samples.plan(steps=[broken, *samples.many(count)]))
        assert "BREAK-GLASS (start the server on web1) Not excluded: web9 is silent." in said


def test_a_withheld_step_that_break_glass_allows_is_said() -> None:
    held = [samples.withheld("web1", "web9 is silent.", break_glass=True)]
    said = text(plan=samples.plan(steps=[], withheld=held, decision="Operator decision: is web9 off."))
    assert "NO STEP IS PLANNED\n  Operator decision: is web9 off." in said
    assert "not done: start the server on web1: web9 is silent. Break-glass, with a reason" in said
    assert "incident_break_glass_reason='...'" in said


def test_until_when_a_plan_may_be_approved_is_said() -> None:
    made = samples.plan(samples.pool(valid_s=600))
    assert f"THE PLAN: {made['digest']}    (valid until {made['expires_at']})" in text(plan=made)
    assert "valid until" not in text()


@pytest.mark.parametrize("outcome", [outcome for outcome in OUTCOMES if outcome not in ("planned", "refused")])
def test_the_command_is_shown_only_where_it_can_be_given(outcome: str) -> None:
    assert "incident_approve=" not in text(outcome=outcome)


def test_saved_evidence_cannot_be_approved() -> None:
    assert "saved evidence" in text(approve_command=None)


def test_a_command_that_a_screen_cannot_show_is_described() -> None:
    said = text(approve_command="ansible-playbook x.yml -e '{\n\"a\": 1}' -e incident_approve=pool-1")
    assert f"run the same command again with -e incident_approve={samples.plan()['digest']}" in " ".join(said.split())


def test_a_refusal_says_why_first() -> None:
    lines = final(outcome="refused", lines=["Something changed. Nothing was done.", "  release: 42 then, 43 now"])
    assert lines[0].startswith("== REFUSED: ")
    assert lines[1:3] == ["Something changed. Nothing was done.", "  release: 42 then, 43 now"]


def test_a_recovery_ends_with_the_postmortem() -> None:
    after = samples.verdict(
        status="healthy", severity=None, summary="Pool web serves 88 of 100.", view=samples.view(headline="IT SERVES")
    )
    lines = final(after, outcome="recovered", lines=["The pool serves 88 again."], advice=("Empty the queue.",))
    assert lines[0].startswith("== RECOVERED: IT SERVES ")
    assert "The pool serves 88 again." in lines
    assert "WHY" not in lines
    assert f"THE PLAN THAT WAS CARRIED OUT: {samples.plan()['digest']}" in lines
    next_ = section(lines, "WHAT TO DO NEXT")
    assert next_[1] == "  - Empty the queue."
    assert "postmortem, within 48 hours" in "\n".join(next_)


def test_after_a_failure_the_advice_of_the_incident_comes_first_and_nothing_old_is_advised() -> None:
    lines = final(outcome="not_recovered", advice=("Restart nothing by hand.",))
    next_ = section(lines, "WHAT TO DO NEXT")
    assert next_[1:3] == [
        "  - Restart nothing by hand.",
        "  - Run the same command again, without incident_approve. It diagnoses anew and makes a plan of now.",
    ]
    assert "Give another host" not in "\n".join(next_)


def test_another_incident_behind_this_one_is_named_first() -> None:
    handed = samples.verdict(hand_over=[{"incident": "disk_full", "because": "the disk of web1 is full"}])
    assert section(final(handed, None, outcome="diagnosed"), "WHAT TO DO NEXT")[1] == (
        "  - Run disk_full.yml: the disk of web1 is full"
    )


def test_without_a_record_the_message_is_shown_whole() -> None:
    said = text(record_path=None, head_hash=None)
    assert "  to partner-5 (load 12):\n    Pool web is short. Please look whether your server runs." in said
    assert "No record of this run is kept." in said
    assert "Please look" not in text()


def test_without_rows_and_gauge_it_says_so() -> None:
    nothing = {"causes": [], "refuted": [], "cannot_tell": []}
    view = samples.view([], headline="CANNOT TELL WHETHER THE POOL SERVES")
    empty = samples.verdict(status="unknown", judged=nothing, notes=(), next_lines=(), view=view)
    lines = final(empty, None, outcome="diagnosed", record_path=None)
    assert "DIAGNOSIS: CANNOT TELL WHETHER THE POOL SERVES" in lines[0]
    assert "WHO SERVES AND WHO DOES NOT" in lines
    assert "  No server shows the pool, so its load cannot be counted." in lines
    assert "  Not in the pool: web8 STOPPED, 1 running (web9)." in lines
    assert "  Nothing was found that says why." in lines
    assert section(lines, "WHAT TO DO NEXT")[1:] == ["  Nothing."]
    assert not any("[" in line for line in lines)


def test_a_verdict_with_no_picture_at_all_has_a_screen() -> None:
    bare = samples.verdict(view=samples.view(tables=(), gauges=(), brief=(), facts=()))
    lines = final(bare, None, outcome="diagnosed")
    assert lines[lines.index("WHY") + 1].startswith("  because: ")
    assert len(screen.first_answer(bare)) == 2


def test_what_is_too_much_for_a_screen_is_counted() -> None:
    causes = [samples.cause(id=f"c{number}", statement=f"Cause {number}", by_hand=[]) for number in range(9)]
    refuted = [{"id": f"r{n}", "title": f"rival {n}", "statement": "", "because": "no"} for n in range(7)]
    undecided = [{"id": f"u{n}", "title": f"open {n}", "statement": "", "missing": f"part {n}"} for n in range(6)]
    judged = samples.judged(causes=causes, refuted=refuted, cannot_tell=undecided)
    why = section(final(samples.verdict(judged=judged)), "WHY")
    assert sum("because: Cause" in line for line in why) == 6
    assert "  and 3 more, see the report" in why
    assert "  ruled out as well: rival 4, rival 5, rival 6" in why
    assert "  and 2 more that cannot be told, see the report" in why


def test_the_commands_by_hand_are_those_of_the_first_root() -> None:
    symptom = samples.cause(id="s", role="symptom", by_hand=["echo symptom"])
    other = samples.cause(id="o", severity=None, by_hand=["echo nothing is the matter"])
    verdict = samples.verdict(judged=samples.judged(causes=[symptom, other, samples.cause()]))
    lines = final(verdict)
    assert lines[lines.index("  see it by hand:") + 1] == "    systemctl status web.service"
    healthy = samples.verdict(status="healthy", judged=samples.judged())
    assert "  see it by hand:" not in final(healthy)


@pytest.mark.parametrize("changes", [{}, {"status": "unknown"}, {"status": "healthy"}, {"status": "degraded"}])
def test_the_first_answer_is_short(changes: dict[str, t.Any]) -> None:
    for rows in (None, samples.large_rows(), []):
        lines = screen.first_answer(samples.verdict(rows, confirmed=False, **changes))
        assert 2 <= len(lines) <= 6
        assert fits(lines)
        assert lines[0].startswith("FIRST ANSWER")


@pytest.mark.parametrize("said", ["THE POOL IS SHORT", "ONE KEY RUNS ON TWO HOSTS: SECURITY INCIDENT", "X" * 40])
def test_no_headline_is_cut(said: str) -> None:
    verdict = samples.verdict(view=samples.view(headline=said))
    assert screen.first_answer(verdict)[0].endswith(f": {said}")
    for outcome in OUTCOMES:
        assert f": {said} =" in final(verdict, outcome=outcome)[0]


def strange_verdict(strange: t.Callable[[], str], weights: st.SearchStrategy[int], data: st.DataObject) -> t.Any:
    looks = data.draw(st.sampled_from(LOOKS) | HOSTILE)
    rows = [
        *samples.small_rows(),
        samples.row(strange(), data.draw(weights), looks, strange(), strange(), short=(strange(),) * 5),
    ]
    table = samples.table(rows, title=strange(), unit=strange(), after=(strange(),), empty=strange())
    gauge = samples.gauge(rows, words=strange(), line=strange(), legend=strange(), title=strange(), unit=strange())
    judged = samples.judged()
    judged["causes"][0].update(statement=strange(), because=strange(), title=strange(), by_hand=[strange()])
    judged["refuted"][0].update(title=strange(), because=strange())
    judged["cannot_tell"][0].update(title=strange(), missing=strange())
    view = samples.view(
        headline=strange(), brief=(strange(),), facts=((strange(), strange()),), tables=(table,), gauges=(gauge,)
    )
    return samples.verdict(
        judged=judged,
        view=view,
        subject=strange(),
        summary=strange(),
        notes=[strange()],
        next_lines=[strange()],
        severity=strange(),
        hand_over=[{"incident": strange(), "because": strange()}],
    )


def strange_plan(strange: t.Callable[[], str], count: int) -> t.Any:
    steps = [
        *({**one, "what": strange(), "hosts": [strange()]} for one in samples.many(count)),
        samples.step("start", [strange()], 1, 2, risk=strange(), overrides=[strange()]),
    ]
    held = [samples.withheld(strange(), strange())]
    sent = [samples.message(strange(), to=[{"name": strange(), "detail": strange()}], about=strange())]
    return samples.plan(steps=steps, withheld=held, messages=sent, decision=strange())


@settings(max_examples=60)
@given(st.data())
def test_no_text_of_a_stranger_breaks_the_screen(data: st.DataObject) -> None:
    def strange() -> str:
        return data.draw(HOSTILE)

    verdict = strange_verdict(strange, st.integers(0, 2**70), data)
    plan = strange_plan(strange, data.draw(st.sampled_from([0, 2, 12])))
    ended = Ended(
        data.draw(st.sampled_from(OUTCOMES) | HOSTILE),
        lines=[strange()],
        approve_command=data.draw(st.none() | HOSTILE),
        record_path=data.draw(st.none() | HOSTILE),
        head_hash=data.draw(st.none() | HOSTILE),
        advice=[strange()],
    )
    assert fits(screen.final(verdict, data.draw(st.none() | st.just(plan)), ended))
    assert fits(screen.first_answer(verdict))
