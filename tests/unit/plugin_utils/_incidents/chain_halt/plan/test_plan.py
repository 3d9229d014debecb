# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a halt: what it does, in which order, what it leaves alone and what it says to people."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import (
    Host,
    Net,
    address,
    bundle,
    cause,
    checked,
    finished,
    verdict,
)

CHECK_10 = {"config": {"double_sign_check_height": {"value": 10, "source": "config.toml"}}}


def make(net: Net, reason: str | None = None, looks: tuple[int, ...] = (1, 2), **changes: t.Any) -> dict[str, t.Any]:
    return finished(checked(bundle(net, looks)), verdict(net, **changes), reason)


def steps(made: dict[str, t.Any]) -> list[tuple[str, str]]:
    return [(step["action"], step["hosts"][0]) for step in made["steps"]]


def held(made: dict[str, t.Any]) -> dict[str, t.Any]:
    return {entry["hosts"][0]: entry for entry in made["withheld"]}


def small(**more: Host) -> Net:
    hosts = {"v1": Host("voting", 40, "a"), "v2": Host("stopped", 30, "b"), "v3": Host("stopped", 20, "c")}
    return Net({**hosts, **more}, {"d": (10, False)})


def test_stopped_validators_start_by_power() -> None:
    made = make(small())
    assert steps(made) == [("start_node", "v2"), ("start_node", "v3")]
    assert [(s["impact"]["before"], s["impact"]["after"]) for s in made["steps"]] == [(40, 70), (70, 90)]
    assert [step["number"] for step in made["steps"]] == [1, 2]
    assert {step["impact"]["needed"] for step in made["steps"]} == {67}
    assert made["decision"] is None
    assert made["digest"].startswith("chain_halt-")


def test_what_a_plan_is_bound_to() -> None:
    made = make(small())
    assert made["scopes"] == ["chain:virtengine-1"] and made["subject"] == "chain virtengine-1"
    assert made["basis"] == {"height": 100, "last_block_hash": "D" * 64}
    assert [step["parameters"]["address"] for step in made["steps"]] == [address("b"), address("c")]
    # Of the same hosts another unit, or another home, is another plan.
    assert {(step["parameters"]["unit"], step["parameters"]["home"]) for step in made["steps"]} == {
        ("virtengine.service", "/var/lib/v")
    }
    assert made["steps"][0]["what"] == "start the node on v2"
    nobody = make(Net({"v1": Host("unreachable"), "v2": Host("unreachable")}))
    assert nobody["scopes"] == [] and nobody["basis"] == {"height": None, "last_block_hash": None}
    assert nobody["steps"] == []


def test_after_every_start_the_double_sign_check_is_put_back() -> None:
    """It may be left at 0 from a run that was killed: also where nothing is relaxed, and of a sentry."""
    made = make(small(z0=Host("stopped", 0, "f"), z1=Host("frozen", 0, "1")))
    assert [(entry["action"], *entry["hosts"]) for entry in made["put_back"]] == [
        ("restore_double_sign_check", host) for host in ("z0", "v2", "v3")
    ]
    assert [entry["parameters"]["address"] for entry in made["put_back"]] == [None, address("b"), address("c")]


def test_what_is_left_alone_is_called_that() -> None:
    net = small(v4=Host("unreachable", 5, "e", declared="e"), v5=Host("not_voting", 5, "f"), v6=Host("frozen", 5, "1"))
    net.hosts["v2"].raw = {"unit": {"unit_file_state": "masked"}}
    words = {entry["hosts"][0]: entry["what"] for entry in make(net)["withheld"]}
    assert words == {
        "v2": "start the node on v2",
        "v4": "leave v4 alone",
        "v5": "leave v5 alone",
        "v6": "start the node on v6",
    }


def test_sentries_come_first_and_bring_no_power() -> None:
    made = make(small(z1=Host("stopped", 0, "e"), z0=Host("frozen", 0, "f")))
    assert steps(made)[:2] == [("thaw_node", "z0"), ("start_node", "z1")]
    assert {step["parameters"]["address"] for step in made["steps"][:2]} == {None}
    assert made["steps"][1]["impact"]["after"] == 40


def test_a_sentry_without_a_key_file_is_started() -> None:
    keyless = {"signer": {"address": None, "key_file": False}}
    assert steps(make(small(z1=Host("stopped", 0, None, raw=keyless))))[0] == ("start_node", "z1")


def test_a_frozen_process_is_thawed_and_its_restart_is_a_persons() -> None:
    made = make(small(v4=Host("frozen", 35, "e")))
    assert steps(made)[0] == ("thaw_node", "v4")
    assert held(made)["v4"]["action"] == "start_node" and not held(made)["v4"]["break_glass"]


def test_the_check_is_relaxed_right_before_the_start_and_restored_at_the_end() -> None:
    net = small()
    net.hosts["v2"].raw = CHECK_10
    made = make(net)
    assert steps(made) == [
        ("relax_double_sign_check", "v2"),
        ("start_node", "v2"),
        ("start_node", "v3"),
        ("restore_double_sign_check", "v2"),
    ]
    power = [(s["impact"]["before"], s["impact"]["after"]) for s in made["steps"]]
    assert power == [(40, 40), (40, 70), (70, 90), (90, 90)]


def test_a_crash_loop_on_its_own_signature_is_relaxed_and_started() -> None:
    net = small()
    text = "panic: Failed to start consensus state: found signature from the same key"
    journal = {"marks": [r.mark("double_sign_check", text), r.mark("panic", text), r.mark("exited")]}
    net.hosts["v2"] = Host("crashed", 30, "b", raw={**CHECK_10, "journal": journal})
    assert steps(make(net))[:2] == [("relax_double_sign_check", "v2"), ("start_node", "v2")]


def test_a_crash_loop_gets_nothing() -> None:
    net = small()
    net.hosts["v2"].doing = "crashed"
    made = make(net)
    assert steps(made) == [("start_node", "v3")]
    assert not held(made)["v2"]["break_glass"]
    assert "Another 7 of voting power is needed" in made["decision"] and "v2" in made["decision"]


@pytest.mark.parametrize("doing", ["unreachable", "not_voting"])
def test_what_cannot_be_seen_or_runs_is_left_alone(doing: str) -> None:
    made = make(small(v4=Host(doing, 5, "e", declared="e")))
    assert "v4" not in {step["hosts"][0] for step in made["steps"]}
    assert held(made)["v4"]["why"] and not held(made)["v4"]["break_glass"]


def test_an_unreachable_undeclared_host_makes_starts_a_persons() -> None:
    net = small(v4=Host("unreachable"))
    made = make(net)
    assert steps(made) == []
    assert held(made)["v2"]["break_glass"] and "v4" in held(made)["v2"]["why"]
    broken = make(net, "the machine v4 is switched off, seen by AB")
    assert steps(broken) == [("start_node", "v2"), ("start_node", "v3")]
    assert all(step["overrides"] and "v4" in step["risk"] for step in broken["steps"])
    assert broken["digest"] != make(small())["digest"]


def test_break_glass_without_need_changes_nothing() -> None:
    assert make(small(), "because") == make(small())


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"unit": {"unit_file_state": "masked"}}, "masked"),
        ({"unit": {"unit_file_state": "disabled"}}, "disabled"),
        ({"genesis": {"sha256": "0" * 64}}, "genesis"),
        ({"binary": {"sha256": "0" * 64}}, "binary"),
        ({"signer": {"state": {"height": 90, "round": 0, "step": 3}}}, None),
        ({"process": {"others": [{"pid": 77}]}}, "process"),
        ({"disk": {"free_bytes": 5}}, "full"),
        ({"journal": {"marks": [r.mark("io_error", "input/output error")]}}, "input/output"),
    ],
)
def test_a_refused_start_is_withheld_even_with_break_glass(raw: dict[str, t.Any], word: str | None) -> None:
    net = small()
    net.signed["b"] = 5
    net.hosts["v2"].raw = raw
    for reason in (None, "I know better"):
        made = make(net, reason)
        assert ("start_node", "v2") not in steps(made)
        assert not held(made)["v2"]["break_glass"]
        assert word is None or word in held(made)["v2"]["why"]


def test_a_standby_with_the_key_of_a_voting_host_is_never_started() -> None:
    made = make(small(w1=Host("stopped", 0, "a")), "start it")
    assert ("start_node", "w1") not in steps(made)
    assert "votes" in held(made)["w1"]["why"]


def test_two_stopped_hosts_with_one_key_are_both_withheld() -> None:
    net = small(w1=Host("stopped", 0, "b"))
    made = make(net, "start one of them")
    assert steps(made) == [("start_node", "v3")]
    assert {"v2", "w1"} <= set(held(made))


def test_a_host_outside_the_target_is_not_touched() -> None:
    net = small()
    net.hosts["v2"].target = False
    made = make(net)
    assert steps(made) == [("start_node", "v3")]
    assert "incident_target" in held(made)["v2"]["why"]


def test_what_no_established_cause_asks_for_is_left_to_a_person() -> None:
    open_question = [cause("cannot_tell", [], [], ["start_node"])]
    made = make(small(), causes=open_question)
    assert steps(made) == []
    assert {entry["break_glass"] for entry in held(made).values()} == {True}
    asked = make(small(), "we accept that", causes=open_question)
    assert steps(asked) == [("start_node", "v2"), ("start_node", "v3")]
    assert all(step["overrides"] and "not established" in step["risk"] for step in asked["steps"])
    forbidden = [*open_question, cause("dead", ["v2"], [], ["start_node"])]
    assert steps(make(small(), "we accept that", causes=forbidden)) == [("start_node", "v3")]


def test_a_cause_that_forbids_beats_one_that_justifies() -> None:
    net = small()
    causes = [cause("processes_down", ["v2", "v3"], ["start_node"], []), cause("dead", ["v2"], [], ["start_node"])]
    assert steps(make(net, causes=causes)) == [("start_node", "v3")]
    assert steps(make(net, causes=[])) == []


@pytest.mark.parametrize(
    ("status", "confirmed", "word"),
    [
        ("unknown", True, "does not show why"),
        ("healthy", True, "nothing is to be done"),
        ("degraded", True, "by hand"),
        ("incident", False, "second look"),
    ],
)
def test_without_a_confirmed_halt_there_are_no_steps(status: str, confirmed: bool, word: str) -> None:
    made = make(small(), "reason", status=status, confirmed=confirmed)
    assert made["steps"] == [] and made["messages"] == [] and word in made["decision"]


def test_the_message_says_what_is_needed_and_what_not_to_do() -> None:
    made = make(small())
    (message,) = made["messages"]
    assert message["to"] == [{"name": "D" * 12, "detail": f"voting power 10, {address('d')}"}]
    for words in (
        "height 100",
        "40 of 100 voting power is voting; 67 needed, 27 missing",
        "same host",
        "no failover",
        "reset",
        "roll back",
        "restart",
    ):
        assert words in message["text"]


def test_a_halt_that_is_the_others_has_a_message_and_a_decision() -> None:
    net = Net({"v1": Host("voting", 50, "a")}, {"d": (30, False), "e": (20, True)})
    made = make(net)
    assert made["steps"] == []
    assert "send them the message" in made["decision"]
    assert {to["name"] for message in made["messages"] for to in message["to"]} >= {"D" * 12}


def test_texts_have_no_control_characters() -> None:
    net = small()
    net.chain = "virt\x1b[31m\n{{ x }}"
    net.hosts["v2"].raw = {"unit": {"name": "a\x1b]0;x\x07b"}, "genesis": {"chain_id": net.chain}}
    text = json.dumps(make(net, subject="chain of the verdict"), ensure_ascii=False)
    assert "\\u001b" not in text and "\\u0007" not in text and "\x1b" not in text


DOING = st.sampled_from(["voting", "not_voting", "sentry", "stopped", "frozen", "crashed", "unreachable"])
RAW = st.sampled_from(
    [
        {},
        CHECK_10,
        {"unit": {"unit_file_state": "masked"}},
        {"unit": r.error("privilege")},
        {"genesis": {"sha256": "0" * 64}},
        {"signer": {"state": {"height": 7, "round": 0, "step": 1}}},
        {"signer": {"remote": True}},
        {"journal": {"marks": [r.mark("panic")]}},
    ]
)


@st.composite
def nets(draw: st.DrawFn) -> Net:
    hosts = {}
    for index in range(draw(st.integers(1, 5))):
        doing, key = draw(DOING), draw(st.sampled_from("abcde"))
        power = 0 if doing == "sentry" else draw(st.integers(1, 50))
        hosts[f"v{index}"] = Host(doing, power, key, draw(st.sampled_from([None, key])), draw(st.booleans()), draw(RAW))
    theirs = {
        letter: (draw(st.integers(1, 50)), draw(st.booleans())) for letter in draw(st.sets(st.sampled_from("gh")))
    }
    return Net(hosts, theirs)


@given(net=nets(), reason=st.sampled_from([None, "a reason"]))
def test_no_plan_breaks_the_rules(net: Net, reason: str | None) -> None:
    evidence = checked(bundle(net))
    made = finished(evidence, verdict(net), reason)
    again = finished(copy.deepcopy(evidence), verdict(net), reason)
    assert json.dumps(made) == json.dumps(again)
    started = [step for step in made["steps"] if step["action"] in ("start_node", "thaw_node")]
    addresses = [step["parameters"]["address"] for step in started if step["parameters"]["address"]]
    assert len(addresses) == len(set(addresses)), "an address is started twice"
    assert len({step["hosts"][0] for step in started}) == len(started), "a host is started twice"
    for step in made["steps"]:
        host = net.hosts[step["hosts"][0]]
        assert host.target, "a host outside the target"
        assert host.doing in ("stopped", "frozen", "crashed"), "a node that runs is touched"
        assert host.raw.get("unit", {}).get("unit_file_state") != "masked" or host.doing == "frozen"
        assert not step["overrides"] or reason
        if step["parameters"]["address"]:
            holders = [
                o
                for o in net.hosts.values()
                if o.key and address(o.key) == step["parameters"]["address"] and o.doing != "unreachable"
            ]
            assert len(holders) == 1, "the key lies on two hosts"
    for before, after in zip(made["steps"], made["steps"][1:]):
        assert after["impact"]["before"] == before["impact"]["after"] >= before["impact"]["before"]
    relaxed = [step["hosts"][0] for step in made["steps"] if step["action"] == "relax_double_sign_check"]
    restored = [step["hosts"][0] for step in made["steps"] if step["action"] == "restore_double_sign_check"]
    assert relaxed == restored
    assert made["steps"] or made["decision"]
