# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deadline around a host: late, lost and refused are answers, and nobody waits for a host that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.deadline import bounded


def connection() -> Any:
    return SimpleNamespace(_shell=SimpleNamespace(tmpdir="there"))


def sleep() -> dict[str, Any]:
    time.sleep(20)
    return {}


def swallow() -> dict[str, Any]:
    """What a module of Ansible may do: catch everything and go on."""
    try:
        time.sleep(20)
    except Exception:
        time.sleep(20)
    return {}


def test_work_in_time_is_returned() -> None:
    to = connection()
    assert bounded(to, 5, lambda: {"a": 1}) == ({"a": 1}, None)
    assert to._shell.tmpdir == "there"


@pytest.mark.parametrize("work", [sleep, swallow])
def test_late_work_is_an_error(work: Any) -> None:
    to, started = connection(), time.monotonic()
    assert bounded(to, 1, work) == ({}, {"kind": "late", "text": "the host gave no answer within 1 s"})
    assert to._shell.tmpdir is None, "a host that hangs would be asked to clean up"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        (
            AnsibleConnectionFailure("Failed to connect\nssh: timed out"),
            "unreachable",
            "Failed to connect ssh: timed out",
        ),
        (
            AnsibleConnectionFailure("Data could not be sent over ssh: reached over ssh: no route"),
            "unreachable",
            "no route",
        ),
        (AnsibleError("no interpreter\x1b[2J"), "failed", "no interpreter [2J"),
        (AnsibleError("Missing sudo password"), "privilege", "Missing sudo password"),
        (AnsibleConnectionFailure("sudo: a password is required"), "privilege", "sudo: a password is required"),
        (AnsibleError("ops is not in the sudoers file"), "privilege", "ops is not in the sudoers file"),
    ],
)
def test_what_goes_wrong_on_the_way_is_an_error_in_one_line(raised: Exception, kind: str, text: str) -> None:
    def fail() -> dict[str, Any]:
        raise raised

    assert bounded(connection(), 5, fail) == ({}, {"kind": kind, "text": text})


@pytest.mark.parametrize(
    ("work", "left"),
    [
        (lambda: {"unreachable": True}, None),
        (lambda: {"failed": True}, "there"),
    ],
)
def test_only_a_host_that_answers_is_asked_to_clean_up(work: Any, left: str | None) -> None:
    to = connection()
    bounded(to, 5, work)
    assert to._shell.tmpdir == left


def test_a_fault_of_our_own_is_not_hidden() -> None:
    def fail() -> dict[str, Any]:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        bounded(connection(), 5, fail)


def test_a_timeout_of_the_task_still_rings() -> None:
    rung: list[int] = []

    def ring(number: int, _frame: Any) -> None:
        rung.append(number)
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.alarm(1)
        with pytest.raises(TimeoutError):
            bounded(connection(), 5, sleep)
        assert rung == [signal.SIGALRM]
        signal.alarm(10)
        assert bounded(connection(), 1, sleep)[1] is not None
        assert 0 < signal.alarm(0) <= 10, "what is left of the task's own time goes on"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


WORKER = """
import os, subprocess, sys, time
from types import SimpleNamespace
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.deadline import bounded
os.setpgrp()
def work():
    print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
    time.sleep(30)
print(bounded(SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), 1, work)[1]["kind"], flush=True)
"""


def test_the_ssh_that_still_waits_is_ended() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True, timeout=20)
    child, kind = done.stdout.split()
    assert kind == "late"
    for _attempt in range(50):
        try:
            os.kill(int(child), 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} is still there")
