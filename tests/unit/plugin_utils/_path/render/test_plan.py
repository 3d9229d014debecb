# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in words: what is taken, what is not and why, what is sent to whom, what is left to a person."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import plan as plan_view
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples
from tests.unit.plugin_utils._path.render.lines import HOSTILE, fits


def test_a_step_line() -> None:
    plan = samples.plan()
    assert (
        plan_view.step_line(plan["steps"][2], "done", plan)
        == "[step 3/5] start the server on web1: done, load seen served 42 -> 76 (67 needed)"
    )
    assert plan_view.step_line(plan["steps"][1], "begun", plan) == "[step 2/5] lower the limit on web1: begun"


@pytest.mark.parametrize(
    ("impact", "words"),
    [
        (None, ""),
        ({}, ""),
        ({"label": "load", "before": 5, "after": 5, "needed": 9}, ""),
        ({"label": "load", "before": 5, "after": 2, "needed": 9}, "load 5 -> 2 (9 needed)"),
        ({"label": "load", "before": None, "after": 2, "needed": "9"}, "load ? -> 2 (? needed)"),
    ],
)
def test_what_a_step_changes_is_said_where_it_is_counted(impact: t.Any, words: str) -> None:
    assert plan_view.impact_words({"impact": impact}) == words


def grouped(*steps: t.Any) -> list[tuple[str, str, str]]:
    return plan_view.grouped(samples.plan(steps=list(steps))["steps"])


def test_steps_of_one_action_are_one_line_and_name_every_host() -> None:
    start, relax = samples.step("start", ["web1"], 10, 20), samples.step("relax", ["web2"])
    assert grouped(start, samples.step("start", ["web3", "web4"], 20, 50), relax) == [
        ("1-2", "start the server on web1, web3, web4", "load seen served 10 -> 50 (67 needed)"),
        ("3", "lower the limit on web2", ""),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_group_is_summed_up_by_the_steps_that_are_counted(order: tuple[int, ...]) -> None:
    steps = [
        samples.step("start", ["web8"]),
        samples.step("start", ["web9"]),
        samples.step("start", ["web1"], 10, 20),
    ]
    assert grouped(*(steps[place] for place in order))[0][2] == "load seen served 10 -> 20 (67 needed)"


def held(*entries: t.Any) -> list[str]:
    return [item.text for item in plan_view.withheld(samples.plan(withheld=list(entries)))]


def test_hosts_that_are_left_alone_for_the_same_reason_share_it() -> None:
    assert held(*(samples.withheld(f"web{number}", "It is silent.") for number in range(1, 10))) == [
        "start the server on web1, web2, web3, web4, web5, web6, web7 and 2 more: It is silent."
    ]
    assert held(samples.withheld("web1", "It is silent."), samples.withheld("web2", "It is masked.")) == [
        "start the server on web1: It is silent.",
        "start the server on web2: It is masked.",
    ]
    other = {**samples.withheld("web2", "It is silent."), "action": "resume"}
    assert len(held(samples.withheld("web1", "It is silent."), other)) == 2, "another action is another decision"


def test_what_break_glass_would_do_is_said() -> None:
    assert held(samples.withheld("web1", "web9 is silent.", break_glass=True)) == [
        "start the server on web1: web9 is silent. Break-glass, with a reason, would make it a step."
    ]


def sent(*messages: t.Any) -> list[tuple[str, str]]:
    return plan_view.messages(samples.plan(messages=list(messages)))


def test_messages_to_the_same_people_say_what_they_are_about() -> None:
    assert sent(samples.message("a", about="missing load"), samples.message("b", about="a lost log")) == [
        ("partner-5 (load 12), about: missing load", "a"),
        ("partner-5 (load 12), about: a lost log", "b"),
    ]


def test_a_message_to_several_names_each() -> None:
    to = [{"name": f"partner-{number}", "detail": f"load {number}"} for number in (1, 2)]
    assert sent(samples.message("a", to=to))[0][0] == "partner-1 (load 1), partner-2 (load 2)"


def next_lines(hosts: list[str], **changes: t.Any) -> list[str]:
    cause = samples.cause(hosts=hosts, next="Start them by hand.", **changes)
    judged = samples.judged(causes=[cause])
    verdict = samples.verdict(judged=judged, next_lines=["Start them by hand.", "Run again."])
    return plan_view.next_lines(verdict, samples.plan())


def test_what_the_plan_does_is_not_asked_of_a_person() -> None:
    both = ["Start them by hand.", "Run again."]
    assert next_lines(["web1", "web3"]) == ["Run again."]
    assert next_lines(["web1", "web4"]) == both, "web4 has no step"
    assert next_lines([]) == both, "it is about no host, so no step answers it"
    assert next_lines(["web1"], justifies=["wait"]) == both, "the step of web1 is for something else"


def test_a_step_of_several_hosts_answers_for_all_of_them() -> None:
    verdict = samples.verdict(judged=samples.judged(causes=[samples.cause(next="Start them by hand.")]))
    verdict["next"] = ["Start them by hand."]
    together = samples.plan(steps=[samples.step("start", ["web1", "web3"], 1, 2)])
    assert plan_view.next_lines(verdict, together) == []
    assert plan_view.next_lines(verdict, None) == ["Start them by hand."]


def test_another_incident_comes_first() -> None:
    verdict = samples.verdict(hand_over=[{"incident": "disk_full", "because": "web1 is full"}], next_lines=["Look."])
    assert plan_view.next_lines(verdict, None) == ["Run disk_full.yml: web1 is full", "Look."]


@given(st.data())
def test_no_text_of_a_stranger_breaks_a_step_line(data: st.DataObject) -> None:
    def strange() -> str:
        return data.draw(HOSTILE)

    step = samples.step("start", [strange()], 1, 2, why=strange(), undo=strange(), risk=strange(), overrides=["x"])
    step["what"] = strange()
    step["impact"]["label"] = strange()
    plan = samples.plan(steps=[step])
    assert fits([plan_view.step_line(plan["steps"][0], strange(), plan)])
    assert plan_view.what_of(plan["steps"][0]).isprintable()
    assert plan_view.overridden(plan["steps"][0]).isprintable()
