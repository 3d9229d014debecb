# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full disk: what is freed by a plan, what is left to a person, and when a node may start again."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.kept import kept_name

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.blocked import (
    WRITE,
    act,
    check,
    full,
    full_net,
    make,
    of,
    old_logs,
)
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import Host, Net
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_plan import held, steps
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_steps import moved


def test_old_logs_are_compressed_while_the_node_is_down() -> None:
    made = make(full_net(), None)
    assert steps(made) == of("v2", "v3", change="free_space")
    freeing = made["steps"][1]
    assert "4096 bytes are free" in freeing["why"] and "6 old log files of 400 MB" in freeing["why"]
    assert "-name '*.incident-*.gz' -exec gzip -dN {} +" in freeing["undo"]
    assert "{digest}" not in freeing["undo"] and "expected" not in freeing["parameters"]
    assert kept_name("syslog.1", made["digest"])
    assert made["decision"] is None


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"old_logs": old_logs(190_000_000)}, "would not free 100 MB"),
        ({"old_logs": old_logs(fitting=190_000_000)}, "room to compress 190 MB of them: that would not free 100 MB"),
        (
            {"disk": {"free_bytes": 0}, "old_logs": old_logs(fitting=0)},
            "come to 400 MB (6 files), and there is room to",
        ),
        ({"old_logs": old_logs(0, 0)}, "(0 files)"),
        ({"old_logs": r.error("privilege", "may not look into /var/log")}, "may not look into /var/log"),
        ({"old_logs": None}, "missing"),
        ({"old_logs": r.ok({"files": "6", "bytes": 400_000_000, "compressible_bytes": 400_000_000})}, "not known"),
        ({"old_logs": r.ok({"files": 6, "bytes": 400_000_000})}, "not known"),
        ({"disk": {"free_bytes": 4096, "read_only": True}}, "read-only"),
        ({"disk": {"free_bytes": 400_000_000, "inodes": 1000, "inodes_free": 0}}, "no free inodes"),
        ({"disk": {"free_bytes": 4096, "inodes": 1000, "inodes_free": 0}}, "inodes"),
    ],
)
def test_what_frees_too_little_or_is_not_seen_is_a_persons(raw: dict[str, t.Any], word: str) -> None:
    net = full_net(v2=full(30, "b", **raw))
    for reason in (None, "I know better"):
        made = make(net, None, reason)
        assert not [step for step in made["steps"] if step["hosts"][0] == "v2"]
        assert word in held(made)["v2"]["why"] and not held(made)["v2"]["break_glass"]


def test_a_node_that_somebody_made_room_for_is_started_again() -> None:
    room = {"disk": {"free_bytes": 600_000_000}}
    made = make(full_net(v2=full(30, "b", **room), v3=full(30, "c", running=False, **room)), None)
    assert steps(made) == [(action, host) for host in ("v2", "v3") for action in ("stop_node", "start_node")]
    stopped = make(full_net(v2=Host("stopped", 30, "b", raw={**full(30, "b").raw, **room})), None)
    assert steps(stopped)[0] == ("start_node", "v2")


def test_a_start_waits_for_room_that_is_seen() -> None:
    net = full_net()
    made = make(net, None)
    for step in made["steps"][:2]:
        net = act(net, step)
    for free, goes in ((99_999_999, False), (100_000_000, True)):
        net.hosts["v2"].raw["disk"] = {"free_bytes": free}
        found = check(net, made, made["steps"][2])
        assert found["ok"] is goes and found["needed"], found["because"]
    net.hosts["v2"].raw["disk"] = {"free_bytes": 5, "read_only": True}
    assert "read-only" in check(net, made, made["steps"][2])["because"]


def test_the_reasons_beside_the_full_disk_still_count() -> None:
    marks = [r.mark("no_space", WRITE), r.mark("database_damaged", "leveldb: manifest corrupted"), r.mark("exited")]
    made = make(full_net(v2=full(30, "b", journal={"marks": marks}, running=False)), None, "I know better")
    assert not [step for step in made["steps"] if step["hosts"][0] == "v2"]
    assert "database damaged" in held(made)["v2"]["why"]


def test_a_node_that_lives_on_a_full_disk_is_stopped_only_where_no_vote_of_it_is_seen() -> None:
    marks = [
        r.mark("no_space", "ERR Periodic WAL flush failed: write /var/lib/v/data/cs.wal/wal: no space left on device")
    ]
    net = full_net(v2=full(30, "b", journal={"marks": marks}))
    # It signed after its start, and nobody has stopped it yet.
    net.signed["b"] = 5
    net.hosts["v2"].raw["unit"] = {"started_at": "2026-01-01T00:00:00Z"}
    made = make(net, None)
    assert steps(made)[:3] == of("v2", change="free_space")
    assert check(net, made, made["steps"][0])["ok"]
    net.hosts["v2"].doing = "voting"
    assert not [step for step in make(net, None)["steps"] if step["hosts"][0] == "v2"]


@pytest.mark.parametrize(
    ("text", "at", "acts"),
    [
        ("write /var/lib/v/data/cs.wal/wal: no space left on device", "2026-01-30T12:05:00Z", True),
        ("write /mnt/snapshots/x: no space left on device", "2026-01-30T12:05:00Z", False),
        ("write /var/lib/v/data/cs.wal/wal: no space left on device", None, False),
        ("write /var/lib/v/data/cs.wal/wal: no space left on device", "2026-01-01T00:00:00Z", False),
    ],
)
@pytest.mark.parametrize("running", [True, False])
def test_a_line_about_another_disk_or_another_time_is_no_reason(
    text: str, at: str | None, acts: bool, running: bool
) -> None:
    """Nobody is stopped for it, and where the node is down it is not taken for remedied."""
    marks = [dict(r.mark("no_space", text), last_at=at), r.mark("exited")]
    host = full(30, "b", running, disk={"free_bytes": 9_000_000_000}, journal={"marks": marks})
    made = make(full_net(v2=host), None, "I know better")
    old = at is not None and at < "2026-01-30" and not running
    assert bool([step for step in made["steps"] if step["hosts"][0] == "v2"]) is (acts or old)


def test_on_a_chain_that_moves_again_a_full_disk_is_still_freed_and_a_node_with_room_left_alone() -> None:
    net = full_net()
    made = make(net, None)
    stop = made["steps"][0]
    text = "ERR Periodic WAL flush failed: write /var/lib/v/data/cs.wal/wal: no space left on device"
    net.hosts["v2"].raw["journal"] = {"marks": [dict(r.mark("no_space", text), last_at="2026-01-30T12:10:17Z")]}
    net.hosts["v3"].doing = "voting"
    net.hosts["v3"].raw = {}
    net = moved(net)
    plan = dict(made, steps=[dict(stop, number=2), *made["steps"][1:]])
    first = dict(made["steps"][2], number=1, hosts=["v3"], parameters={"address": r.ADDRESS_X})
    plan["steps"] = [first, *plan["steps"]]
    assert check(net, plan, plan["steps"][1])["ok"]
    net.hosts["v2"].raw["disk"] = {"free_bytes": 9_000_000_000}
    assert not check(net, plan, plan["steps"][1])["ok"]


@pytest.mark.parametrize("done", [1, 2])
def test_what_the_plan_stopped_is_started_also_where_somebody_else_made_the_chain_move(done: int) -> None:
    net = full_net()
    made = make(net, None)
    for step in made["steps"][:done]:
        net = act(net, step)
    net.theirs["d"] = (300, True)
    begun = dict(made, begun=[[step["action"], *step["hosts"]] for step in made["steps"][:done]])
    found = check(moved(net), begun, made["steps"][done])
    assert found["ok"], found["because"]
    assert not check(moved(net), begun, made["steps"][3])["ok"], "nothing else is stopped for a plan that is over"
    # Somebody else stopped it: then it is not this plan's to start.
    assert not check(moved(net), made, made["steps"][done])["ok"]


def test_a_validator_of_others_is_not_touched() -> None:
    net = Net({"v1": Host("voting", 40, "a"), "v2": full(30, "b")}, theirs={"d": (30, False)})
    assert {step["hosts"][0] for step in make(net, None)["steps"]} <= {"v2"}
