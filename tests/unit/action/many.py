# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lamp that several hosts switch, and two scopes that a run has to lock on each of them."""

from __future__ import annotations

import typing as t

from tests.unit.action.steps import Run, Runs, changed
from tests.unit.lamp import LAMP

HOSTS = ("api-1", "api-2", "api-3")
TWO = ("lamp:hall", "mains:north")
# The lock of another responder.
THEIRS = {"scope": TWO[1], "owner": "run-00000009", "who": "eve@laptop", "age_s": 300}


def many_hosts(bundle: t.Any, verdict: t.Any, reason: str | None) -> t.Any:
    """The lamp's plan, with steps that have several hosts."""
    draft = LAMP.plan(bundle, verdict, reason)
    steps = [{**step, "hosts": list(HOSTS[:2])} for step in draft["steps"]]
    return {
        **draft,
        "scopes": list(TWO),
        "steps": steps,
        "put_back": [{**step, "hosts": list(HOSTS[:2])} for step in draft["put_back"]],
    }


MANY = changed(plan=many_hosts)


def cleared(runs: Runs) -> Run:
    """A run over three hosts and two scopes that the gate let act, before it takes a lock."""
    digest = runs.planned(MANY, HOSTS)
    run = runs.new(MANY, HOSTS)
    run.diagnose()
    assert run.gate(digest)["act"]
    return run


def locked(runs: Runs) -> tuple[Run, list[t.Any]]:
    """The same, when it holds both locks on all of them."""
    run = cleared(runs)
    run.take(scopes=TWO)
    assert not run.check("lock").get("failed")
    return run, run.state.read("gate")["steps"]


def refused(answer: t.Any) -> str:
    assert answer["failed"]
    said: str = answer["msg"]
    return said


def kept(run: Run, *scopes: str) -> list[t.Any]:
    return run.held(*(scopes or TWO))
