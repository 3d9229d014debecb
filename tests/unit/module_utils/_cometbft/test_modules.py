# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them: options in, JSON out, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft.goal import Goal, judge

from tests.unit.module_utils._cometbft.server import Server, halted

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"
# The first lines of what ansible-core puts around a module: where its options come from and how results are written.
RUNNER = """
import json, runpy, sys
import ansible.module_utils.basic as basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_path(sys.argv[1], run_name="__main__")
"""
FIRST = "F6D9025EFAE31226638661B9CD238B3A1ED004CE"


def run(name: str, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    options = {
        **options,
        "_ansible_check_mode": check,
        "_ansible_remote_tmp": "there",
        "_ansible_keep_remote_files": False,
    }
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(MODULES / f"{name}.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answer: dict[str, t.Any] = json.loads(done.stdout)
    assert answer.get("failed", False) is (done.returncode != 0), done
    return answer


@pytest.mark.parametrize("check", [True, False])
def test_info_of_a_node(check: bool) -> None:
    with Server(halted()) as server:
        found = run("cometbft_info", check, url=server.url)
    assert found["reachable"] is True and found["changed"] is False
    assert len(found["rpc"]) == 9 and all(part["ok"] for part in found["rpc"].values())


def test_info_of_a_silent_node_is_no_failure() -> None:
    with Server({}) as server:
        server.routes = dict.fromkeys(halted(), server.hang)
        began = time.monotonic()
        found = run("cometbft_info", url=server.url, timeout=1, parts=["status", "consensus"])
        took = time.monotonic() - began
    assert found["reachable"] is False and "failed" not in found
    assert {part["error"]["kind"] for part in found["rpc"].values()} == {"late"}
    assert took < 5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cometbft_info", {"url": "ftp://x"}),
        ("cometbft_info", {"url": "http://user:secret@x"}),
        ("cometbft_info", {"timeout": 0}),
        ("cometbft_info", {"timeout": "nan"}),
        ("cometbft_info", {"parts": []}),
        ("cometbft_info", {"parts": ["health"]}),
        ("cometbft_info", {"url": "https://x", "ca_path": "/no/such/file"}),
        ("cometbft_info", {"max_age": 5}),
        ("cometbft_wait", {}),
        ("cometbft_wait", {"signed_by": "A" * 39}),
        ("cometbft_wait", {"signed_by": FIRST, "signed_min": 6}),
        ("cometbft_wait", {"signed_by": FIRST, "signed_min": 0}),
        ("cometbft_wait", {"signed_by": FIRST, "signed_of": 21}),
        ("cometbft_wait", {"height_above": -1}),
        ("cometbft_wait", {"height_above": 1, "timeout": -1}),
        ("virtengine_query", {"command": ["start"]}),
        ("virtengine_query", {"command": ["status"], "node": "x"}),
        ("virtengine_query", {"command": ["status"], "timeout": 0}),
    ],
)
def test_wrong_options_fail_in_one_sentence(name: str, options: dict[str, t.Any]) -> None:
    found = run(name, **options)
    assert found["failed"] is True
    assert "secret" not in found["msg"] and "\n" not in found["msg"]


def test_waiting_for_what_is_there() -> None:
    with Server(halted()) as server:
        found = run("cometbft_wait", url=server.url, height_above=339, signed_by=FIRST.lower(), signed_since_height=330)
    assert found["reached"] is True and found["msg"] == "Reached."
    assert found["height"] == 340 and found["looks"] == 1
    assert found["signed"] == found["counted"] == [340, 339, 338, 337, 336]


@pytest.mark.parametrize("check", [True, False])
def test_waiting_in_vain_is_no_failure(check: bool) -> None:
    with Server(halted()) as server:
        found = run("cometbft_wait", check, url=server.url, height_above=340, timeout=2.5)
    assert found["reached"] is False and "failed" not in found
    assert "341" not in found["msg"] and "above 340" in found["msg"]
    assert (found["looks"] == 1) is check
    assert found["waited_s"] <= 3


def test_waiting_for_a_node_that_comes_up_late() -> None:
    with Server({}) as server:
        answers = halted()
        asked = iter([False, True])
        status = answers.pop("/status")
        missing = server.drip([b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"], 0)
        server.routes = {
            **answers,
            "/status": lambda sock: sock.sendall(status) if next(asked, True) else missing(sock),
        }
        found = run("cometbft_wait", url=server.url, height_above=1, timeout=20)
    assert found["reached"] is True and found["looks"] == 2


def commits(*rows: tuple[int, str]) -> dict[str, t.Any]:
    """Parts whose commits are signed (s) or voted nil (n) by FIRST, or miss it (-)."""
    shapes = [
        {"height": at, "signed": [[FIRST, "t"]] if how == "s" else [], "nil": [[FIRST, "t"]] if how == "n" else []}
        for at, how in rows
    ]
    top = max((at for at, _how in rows), default=0)
    return {
        "status": {"ok": True, "data": {"height": top}},
        "commits": {"ok": True, "data": {"commits": shapes}},
    }


@pytest.mark.parametrize(
    ("rows", "since", "reached"),
    [
        ([(9, "s"), (8, "s"), (7, "s"), (6, "-"), (5, "-")], 0, True),
        ([(9, "s"), (8, "-"), (7, "s"), (6, "-"), (5, "s")], 4, True),
        ([(9, "s"), (8, "-"), (7, "s"), (6, "-"), (5, "s")], 5, False),
        ([(9, "n"), (8, "n"), (7, "n"), (6, "s"), (5, "s")], 0, False),
        ([(9, "s"), (8, "s"), (7, "s")], 6, True),
        ([(9, "s"), (8, "s"), (7, "s")], 7, False),
        ([(9, "-"), (8, "-"), (7, "-"), (6, "s"), (5, "s"), (4, "s")], 0, False),
        ([], 0, False),
    ],
)
def test_three_of_the_newest_five_above_a_height(rows: list[tuple[int, str]], since: int, reached: bool) -> None:
    seen = judge(commits(*rows), Goal(signed_by=FIRST, signed_since_height=since))
    assert (not seen.missing) is reached, seen


def test_what_cannot_be_told_is_not_reached() -> None:
    late = {"ok": False, "error": {"kind": "late", "text": "late"}}
    rpc = {**commits((9, "s"), (8, "s"), (7, "s")), "status": late}
    seen = judge(rpc, Goal(signed_by=FIRST))
    assert seen.missing == ("late",) and seen.height is None
    seen = judge({"status": late}, Goal(height_above=1))
    assert seen.missing == ("late",)
