# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run by a user who is not root: that comes first, with what to add; what RPC shows all the same is judged."""

from __future__ import annotations

import functools

import pytest

from tests.recorded import losses
from tests.recorded.kept import kept

# Where the first answer cuts a line, less what stands before the headline.
MOST_HEADLINE = 100 - len("FIRST ANSWER, another look follows in a few seconds: ")
BUNDLES = {one.name: one.bundle() for one in kept()}
OF_HOSTS = [
    name
    for name, bundle in BUNDLES.items()
    if any(entry["source"] == "node_evidence" and entry["ok"] for entry in bundle["observations"])
]
# The one thing that is seen in key files alone, and accepted as not seen by a user who reads none.
KEY_FILES_ALONE = {"clone"}


@functools.cache
def judged(name: str, rpc: bool) -> losses.Judged:
    return losses.judge(losses.without_privilege(BUNDLES[name], rpc))


@pytest.mark.parametrize("rpc", [False, True])
@pytest.mark.parametrize("name", OF_HOSTS)
def test_what_to_add_comes_first_whatever_is_the_matter(name: str, rpc: bool) -> None:
    verdict, plan = judged(name, rpc)
    assert "ADD -b" in verdict["headline"] and len(verdict["headline"]) <= MOST_HEADLINE
    assert "add -b and run again" in verdict["summary"].partition(" Chain ")[0]
    assert verdict["brief"][0].startswith("Add -b and run again")
    assert verdict["next"][0].startswith("Run the same command again with -b")
    assert not [line for line in verdict["next"] if "by hand" in line or "start the unit" in line]
    assert plan["steps"] == []
    if name not in KEY_FILES_ALONE:
        assert losses.broken_rules(losses.judge(BUNDLES[name]), judged(name, rpc), losses.FAILED) == []


@pytest.mark.parametrize("name", ["stopped", "healthy", "frozen", "degraded"])
def test_without_rpc_nothing_is_concluded(name: str) -> None:
    verdict = judged(name, False).verdict
    assert verdict["status"] == "unknown"
    assert verdict["headline"] == "NOTHING COULD BE READ WITHOUT PRIVILEGE: ADD -b"
    assert verdict["summary"].startswith("Nothing could be read without privilege: add -b and run again. ")
    assert losses.named(verdict, "refuted") <= {"clock_skew"}, "what was not read rules nothing out"
    assert "busy" not in str(verdict), "a node whose RPC nobody asked is not one that does not answer"
    assert {node["state"] for node in verdict["details"]["nodes"]} <= {"unknown", "stopped", "frozen"}


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("stopped", "NO PRIVILEGE, ADD -b: THE CHAIN IS HALTED"),
        ("healthy", "NO PRIVILEGE, ADD -b: THE CHAIN RUNS"),
        ("degraded", "NO PRIVILEGE, ADD -b: THE CHAIN RUNS"),
    ],
)
def test_what_rpc_shows_is_judged(name: str, headline: str) -> None:
    verdict, whole = judged(name, True).verdict, losses.judge(BUNDLES[name]).verdict
    assert verdict["headline"] == headline
    for key in ("status", "severity", "confirmed", "gauges"):
        assert verdict[key] == whole[key]


def test_where_some_hosts_are_read_as_root_the_verdict_keeps_its_headline() -> None:
    seen = losses.without_privilege(BUNDLES["stopped"], True, ["vh4"])
    verdict = losses.judge(seen).verdict
    assert verdict["headline"] == "THE CHAIN IS HALTED"
    assert verdict["summary"].startswith(
        "On vh4 only root can read the journal, signing state and genesis file: add -b"
    )
    assert verdict["next"][0].startswith("Run the same command again with -b")


def test_a_start_by_hand_is_advised_only_where_what_forbids_it_was_read() -> None:
    of_degraded = BUNDLES["degraded"]
    advice = "start it by hand"
    assert advice in str(losses.judge(of_degraded).verdict["next"])
    assert advice in str(losses.judge(losses.without_privilege(of_degraded, True, ["vh1"])).verdict["next"])
    assert advice not in str(losses.judge(losses.without_privilege(of_degraded, True, ["vh4"])).verdict["next"])


def test_a_refused_password_is_another_thing_to_add() -> None:
    verdict = losses.judge(losses.refused_root(BUNDLES["stopped"])).verdict
    assert verdict["headline"] == "NOTHING COULD BE READ WITHOUT PRIVILEGE: ADD -K"
    assert "becoming root was refused" in verdict["summary"] and "network, ssh, power" not in verdict["summary"]
    assert verdict["next"][0].startswith("Give the sudo password with -K")
    assert not any("network, ssh" in line for line in verdict["next"])


def test_read_as_root_nothing_is_said_of_it() -> None:
    for name in ("stopped", "healthy", "all-unreachable"):
        verdict = losses.judge(BUNDLES[name]).verdict
        assert "privilege" not in f"{verdict['headline']} {verdict['summary']} {verdict['next']}".lower()
