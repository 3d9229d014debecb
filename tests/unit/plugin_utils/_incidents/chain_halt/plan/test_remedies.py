# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes whose reason can be taken away: what is planned for whom, and what is left alone."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.blocked import (
    FUTURE,
    PAST,
    REPLAY,
    SAID,
    act,
    check,
    evidence,
    halt_net,
    halted,
    halting,
    judged,
    lost,
    make,
    of,
    wal,
    wal_net,
)
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import Host, Net, cause, check_step, finished, verdict
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_plan import held, steps

TWICE = {"cs.wal.bak": r.HEIGHT, "cs.wal.old": r.HEIGHT}


def test_a_halt_that_is_over_is_ended_host_by_host() -> None:
    made = make(halt_net(s1=halted(0, None)))
    assert steps(made) == of("s1", "v2", "v3")
    power = [(step["impact"]["before"], step["impact"]["after"]) for step in made["steps"]]
    assert power == [(40, 40)] * 5 + [(40, 70)] + [(70, 70)] * 2 + [(70, 100)]
    assert made["decision"] is None and made["withheld"] == []
    texts = made["steps"][4]
    assert "call of 12:05" in texts["why"] and "app.toml.incident-chain_halt-" in texts["undo"]
    assert all(step["undo"] and step["risk"] for step in made["steps"])


def test_without_the_statement_it_may_be_a_coordinated_halt() -> None:
    for reason in (None, "I know better"):
        made = make(halt_net(), None, reason)
        assert made["steps"] == []
        assert held(made)["v2"]["action"] == "clear_halt_height" and not held(made)["v2"]["break_glass"]
        assert "coordinated halt" in held(made)["v2"]["why"]
        assert '-e incident_halt_is_over=100 -e "incident_halt_is_over_reason=' in held(made)["v2"]["why"]
        assert held(made)["v2"]["why"].count("100") == 2, "said more than once"


def test_a_statement_about_another_height_is_about_nothing_here() -> None:
    made = make(halt_net(), dict(SAID, incident_halt_is_over=99))
    assert made["steps"] == [] and "halted at 100" in held(made)["v2"]["why"]
    other = halt_net()
    other.hosts["v3"].raw["config"] = halting(90)
    assert steps(make(other)) == of("v2")


@pytest.mark.parametrize(
    ("config", "by", "said", "goes"),
    [
        (halting(0, PAST), (0, PAST), 100, True),
        (halting(0, PAST), (0, PAST), 99, False),
        (halting(100, PAST), (100, PAST), 100, True),
        (halting(100, PAST), (100, 0), 100, False),
        (halting(0, PAST), (100, 0), 100, False),
        (halting(100, FUTURE), (100, FUTURE), 100, False),
        (halting(400, PAST), (400, PAST), 100, False),
        (halting(90, 0), (100, 0), 100, False),
        (halting(None, 0), (100, 0), 100, False),
        (halting(100, None), (100, 0), 100, False),
        (halting(100, 0, "flag"), (100, 0), 100, False),
        (halting(100, 0, "env"), (100, 0), 100, False),
        (halting(0, PAST, "env"), (0, PAST), 100, False),
    ],
)
def test_what_the_configuration_must_say(config: dict[str, t.Any], by: tuple[int, int], said: int, goes: bool) -> None:
    net = halt_net(v2=halted(30, "b", by))
    net.hosts["v2"].raw["config"] = config
    made = make(net, dict(SAID, incident_halt_is_over=said))
    assert (("clear_halt_height", "v2") in steps(made)) is goes
    if goes:
        step = next(step for step in made["steps"] if step["action"] == "clear_halt_height")
        assert step["parameters"]["expected"] == config["halt_height"]["value"]
        assert step["parameters"]["expected_time"] == config["halt_time"]["value"]
    else:
        assert not [step for step in made["steps"] if step["hosts"][0] == "v2"]


@pytest.mark.parametrize("config", [halting(400), halting(0, FUTURE), halting(400, FUTURE, "flag")])
def test_a_halt_that_lies_ahead_is_never_cleared(config: dict[str, t.Any]) -> None:
    net = halt_net()
    net.hosts["v2"].raw["config"] = config
    made = make(net)
    assert [action for action, host in steps(made) if host == "v2"] == ["stop_node", "start_node"]
    for step in [step for step in made["steps"] if step["hosts"][0] == "v2"]:
        assert check(net, made, step)["ok"], step["action"]
        net = act(net, step)
    ahead = make(halt_net(v2=halted(30, "b", config=config)), dict(SAID, incident_halt_is_over=400))
    assert not [step for step in ahead["steps"] if step["hosts"][0] == "v2"]
    assert "v2 halted at 100" in held(ahead)["v2"]["why"]


def test_the_digest_covers_what_is_cleared() -> None:
    made = make(halt_net())
    other = make(halt_net(v2=halted(30, "b", (100, PAST), config=halting(100, PAST))))
    assert steps(other) == steps(made) and other["digest"] != made["digest"]
    assert [line for line in _plan.difference(made, other) if "expected 100, expected time 1769774380" in line]


def test_the_configuration_is_named_only_where_it_names_the_halt() -> None:
    net = halt_net()
    assert "halted at height 100, as its configuration says." in held(make(net, None))["v2"]["why"]
    net.hosts["v2"].raw["config"] = halting(0)
    assert "halted at height 100. This may be" in held(make(net, None))["v2"]["why"]


JAILED = {"address": "E" * 40, "until": "2026-12-01T00:00:00Z", "tombstoned": True, "missed": 3}


@pytest.mark.parametrize(
    ("key", "declared", "jailed", "goes"),
    [
        ("e", None, r.ok({"total": 9, "jailed": [], "truncated": False}), True),
        ("e", None, r.ok({"total": 9, "jailed": [JAILED], "truncated": False}), False),
        ("e", None, r.ok({"total": 9, "jailed": [], "truncated": True}), False),
        ("e", None, r.ok({"total": 9, "jailed": []}), False),
        ("e", None, r.error("late"), False),
        ("e", None, None, False),
        ("e", "e", r.ok({"total": 9, "jailed": [], "truncated": False}), False),
        (None, None, None, True),
    ],
)
def test_a_key_out_of_the_set_may_be_jailed(
    key: str | None, declared: str | None, jailed: dict[str, t.Any] | None, goes: bool
) -> None:
    net = wal_net()
    without_key = {} if key else {"signer": {"address": None, "key_file": False}}
    net.hosts["s1"] = Host("stopped", 0, key, declared=declared, raw=without_key)
    fresh = evidence(net)
    for entry in fresh["observations"]:
        if entry["host"] == "v1":
            entry["data"]["rpc"]["jailed"] = jailed
        elif "rpc" in entry["data"]:
            entry["data"]["rpc"]["jailed"] = r.error("late")
    made = finished(fresh, judged(net), "I know better")
    assert (("start_node", "s1") in steps(made)) is goes
    if not goes:
        assert "jailed" in held(made)["s1"]["why"] and not held(made)["s1"]["break_glass"]


def test_a_copy_that_is_older_than_the_last_block_is_not_put_back() -> None:
    for newest_at in ("2026-01-30T11:59:49Z", None):
        net = wal_net()
        part = wal(0, ("cs.wal.bak", r.HEIGHT))
        part["data"]["copies"][0]["newest_at"] = newest_at
        net.hosts["v2"].raw["wal"] = part
        made = make(net, None, "I know better")
        assert steps(made) == of("v3", change="put_wal_back")
        assert "cannot hold the votes" in held(made)["v2"]["why"]


def test_a_lost_log_is_put_back() -> None:
    made = make(wal_net(), None)
    assert steps(made) == of("v2", "v3", change="put_wal_back")
    assert [step["impact"]["after"] for step in made["steps"]] == [40, 40, 70, 70, 70, 100]
    assert "cs.wal.bak" in made["steps"][1]["why"] and "cs.wal.incident-chain_halt-" in made["steps"][1]["undo"]
    assert made["decision"] is None


@pytest.mark.parametrize(
    ("part", "word"),
    [
        (wal(0), "No copy"),
        (wal(0, ("cs.wal.bak", 99)), "No copy"),
        (wal(0, ("cs.wal.bak", 101)), "No copy"),
        (wal(0, ("cs.wal.bak", None)), "No copy"),
        (wal(0, *TWICE.items()), "Operator decision"),
        (wal(101, ("cs.wal.bak", 100)), "not exchanged"),
        (r.error("privilege", "may not read"), "may not read"),
        (None, "missing"),
    ],
)
def test_only_one_copy_that_fits_is_put_back(part: dict[str, t.Any] | None, word: str) -> None:
    net = wal_net()
    net.hosts["v2"].raw["wal"] = part
    made = make(net, None, "I know better")
    assert steps(made) == of("v3", change="put_wal_back")
    assert word in held(made)["v2"]["why"] and not held(made)["v2"]["break_glass"]


def test_a_place_that_a_killed_run_left_empty_is_filled() -> None:
    net = wal_net()
    net.hosts["v2"].doing = "stopped"
    net.hosts["v2"].raw["wal"] = wal(
        None, ("cs.wal.bak", 100), ("cs.wal.incident-halt-0123456789abcdef", 0), present=False
    )
    assert steps(make(net, None))[:2] == [("put_wal_back", "v2"), ("start_node", "v2")]


def test_a_log_that_was_lost_at_another_height_is_a_persons() -> None:
    net = wal_net()
    net.hosts["v2"].raw["journal"] = {"marks": [r.mark("wal_missing", "WAL does not contain #ENDHEIGHT for 97")]}
    net.hosts["v2"].raw["wal"] = wal(0, ("cs.wal.bak", 97))
    assert "Operator decision" in held(make(net, None))["v2"]["why"]
    net.hosts["v2"].raw["journal"] = {"marks": [r.mark("wal_missing", "cut before the number")]}
    assert "names no height" in held(make(net, None))["v2"]["why"]


def test_a_validator_whose_vote_stands_is_not_stopped() -> None:
    net = wal_net()
    net.hosts["v2"].doing = "voting"
    assert steps(make(net, None)) == of("v3", change="put_wal_back")


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"unit": {"unit_file_state": "masked"}}, "masked"),
        ({"binary": {"sha256": "0" * 64}}, "binary"),
        ({"disk": {"free_bytes": 5}}, "full"),
        ({"process": {"others": [{"pid": 77}]}}, "process"),
        ({"unit": r.error("privilege")}, "cannot be told"),
        ({"process": r.error("privilege")}, "cannot be told"),
    ],
)
def test_a_node_is_not_stopped_where_its_start_would_be_refused(raw: dict[str, t.Any], word: str) -> None:
    for net in (halt_net(), wal_net()):
        host = net.hosts["v2"]
        host.raw = {**host.raw, **copy.deepcopy(raw)}
        for reason in (None, "I know better"):
            made = make(net, SAID, reason)
            assert not [step for step in made["steps"] if step["hosts"][0] == "v2"]
            assert word in held(made)["v2"]["why"]


def test_a_second_reason_keeps_the_node_as_it_is() -> None:
    for net in (halt_net(), wal_net()):
        net.hosts["v2"].raw["journal"]["marks"].append(r.mark("database_damaged", "leveldb: corruption"))
        made = make(net)
        assert "database damaged" in held(made)["v2"]["why"]
        assert not [step for step in made["steps"] if step["hosts"][0] == "v2"]


def test_a_failure_for_another_reason_does_not_go_with_the_halt_height() -> None:
    net = halt_net()
    net.hosts["v2"].raw["journal"]["marks"][1]["text"] = "CONSENSUS FAILURE!!! err=wrong Block.Header.AppHash"
    assert "consensus failure" in held(make(net))["v2"]["why"]


def test_what_the_causes_do_not_ask_for_is_a_persons_and_what_they_forbid_is_nobodys() -> None:
    net = halt_net()
    open_question = [cause("cannot_tell", [], [], [])]
    assert {entry["break_glass"] for entry in make(net, causes=open_question)["withheld"]} == {True}
    asked = make(net, SAID, "we accept that", causes=open_question)
    assert steps(asked) == of("v2", "v3") and all(step["overrides"] for step in asked["steps"])
    forbidden = [*judged(net)["causes"], cause("dead", ["v2"], [], ["start_node"])]
    assert steps(make(net, SAID, "we accept that", causes=forbidden)) == of("v3")
    only_start = [cause("processes_down", ["v2", "v3"], ["start_node"], [])]
    assert make(net, causes=only_start)["steps"] == []
    net.hosts["v2"].doing = "stopped"
    assert steps(make(net, causes=only_start)) == [("clear_halt_height", "v2"), ("start_node", "v2")]


def test_hosts_outside_the_target_are_not_touched() -> None:
    net = halt_net()
    net.hosts["v2"].target = False
    made = make(net)
    assert steps(made) == of("v3") and "incident_target" in held(made)["v2"]["why"]


def test_a_key_on_a_second_host_keeps_both_as_they_are() -> None:
    made = make(halt_net(w1=Host("stopped", 0, "b")))
    assert steps(made) == of("v3") and "same validator key" in held(made)["v2"]["why"]


def test_a_vote_after_the_death_of_its_consensus_is_another_machines() -> None:
    fresh = evidence(halt_net())
    for entry in fresh["observations"]:
        if entry["host"] == "v1":
            commits = entry["data"]["rpc"]["commits"]["data"]["commits"]
            commits[0]["signed"].append(["B" * 40, "2026-01-30T12:05:00Z"])
    # A vote after a line in the journal outlives the line: the node is no longer taken for a halted one at all.
    made = finished(fresh, judged(halt_net()), "I know better")
    assert steps(made) == of("v3")


def test_a_crash_loop_at_the_halt_height_is_stopped_first() -> None:
    net = halt_net()
    marks = [r.mark("halt_height", REPLAY), r.mark("handshake_failed", REPLAY), r.mark("exited")]
    net.hosts["v2"] = Host("crashed", 30, "b", raw={"config": halting(), "journal": {"marks": marks}})
    made = make(net)
    assert steps(made) == of("v2", "v3")
    assert check(net, made, made["steps"][0])["ok"]
    marks[1]["text"] = "Error: error during handshake: app block height (5) is too low"
    assert "handshake failed" in held(make(net))["v2"]["why"]


CHANGE = st.sampled_from(
    [
        {},
        {"config": halting(0, 0)},
        {"config": halting(99)},
        {"config": halting(100, 0, "env")},
        {"wal": wal(100, ("cs.wal.incident-halt-0123456789abcdef", 0))},
        {"wal": wal(0, *TWICE.items())},
        {"unit": {"unit_file_state": "disabled"}},
        {"unit": {"active_state": "activating", "sub_state": "auto-restart"}},
        {"process": {"others": [{"pid": 9}]}},
        {"signer": {"state": {"height": 7, "round": 0, "step": 1}}},
        {"journal": {"marks": [r.mark("panic")]}},
    ]
)


@st.composite
def nets(draw: st.DrawFn) -> Net:
    hosts = {"v0": Host("voting", draw(st.integers(1, 60)), "a")}
    for index, key in enumerate(draw(st.lists(st.sampled_from("bcde"), min_size=1, max_size=4)), 1):
        power = draw(st.integers(1, 40))
        host = draw(st.sampled_from([halted, lost]))(power, key)
        host.doing = draw(st.sampled_from(["not_voting", "not_voting", "stopped", "crashed", "voting", "unreachable"]))
        if host.doing == "voting":
            host.raw.pop("journal")
        host.raw = {**host.raw, **copy.deepcopy(draw(CHANGE))}
        host.target, host.declared = draw(st.booleans()), draw(st.sampled_from([None, key]))
        hosts[f"v{index}"] = host
    return Net(hosts)


@given(
    net=nets(),
    said=st.sampled_from([None, SAID, dict(SAID, incident_halt_is_over=99)]),
    reason=st.sampled_from([None, "r"]),
)
def test_no_plan_breaks_the_rules(net: Net, said: dict[str, t.Any] | None, reason: str | None) -> None:
    made = make(net, said, reason)
    assert json.dumps(made) == json.dumps(make(net, said, reason))
    for step in made["steps"]:
        host = net.hosts[step["hosts"][0]]
        assert host.target and host.doing in ("not_voting", "stopped", "crashed")
        if step["action"] == "stop_node":
            assert step["impact"]["before"] == step["impact"]["after"]
        if step["action"] == "clear_halt_height":
            assert said is not None and host.raw["config"]["halt_height"]["value"] == said["incident_halt_is_over"]
        if step["action"] == "put_wal_back":
            fit = [copy_ for copy_ in host.raw["wal"]["data"]["copies"] if copy_["last_end_height"] == 100]
            assert len(fit) == 1
        assert not step["overrides"] or reason
    for before, after in zip(made["steps"], made["steps"][1:]):
        assert after["impact"]["before"] == before["impact"]["after"]
        # A stop is followed by the change or the start of the same host: nothing is only stopped.
        assert (
            before["action"] not in ("stop_node", "clear_halt_height", "put_wal_back")
            or before["hosts"] == after["hosts"]
        )
    assert not made["steps"] or made["steps"][-1]["action"] in ("start_node", "restore_double_sign_check")
    fresh = evidence(net, (2, 3), said)
    if made["steps"]:
        first = check_step(fresh, made, made["steps"][0])
        # The verdict here is given; the check makes its own, and knows when no automation may act at all.
        assert first["ok"] or first["because"].startswith("The automation stops."), first["because"]


RUBBISH = st.recursive(
    st.none() | st.integers() | st.text(max_size=3), lambda i: st.lists(i) | st.dictionaries(st.text(), i)
)


@given(
    begun=st.sampled_from([halt_net, wal_net]),
    rubbish=RUBBISH,
    part=st.sampled_from(["wal", "config", "unit", "process", "journal"]),
    wrapped=st.booleans(),
)
def test_hostile_evidence_never_raises_and_never_stops_a_node(
    begun: t.Callable[[], Net], rubbish: t.Any, part: str, wrapped: bool
) -> None:
    net = begun()
    untouched, causes = make(net), judged(net)["causes"]
    needs_no_log = "wal" not in net.hosts["v2"].raw
    net.hosts["v2"].raw[part] = r.ok(rubbish) if wrapped else {"ok": rubbish}
    made = finished(evidence(net), {**verdict(net), "causes": causes}, None)
    mine = [step["action"] for step in made["steps"] if step["hosts"][0] == "v2"]
    assert mine == [] or (part == "wal" and needs_no_log)
    for step in untouched["steps"][:3]:
        check(net, untouched, step)
