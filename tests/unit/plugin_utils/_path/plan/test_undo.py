# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The undo of a step names the file that lies on the host, whichever run kept it, and says RUN where there is none."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan, undo
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import report

from tests.unit.plugin_utils._path.render import samples

CLEAR = samples.step(
    2,
    "clear_halt_height",
    "vh1",
    42,
    42,
    undo="With the unit stopped, rename config/app.toml.incident-RUN on vh1 back to config/app.toml.",
)
PUT = samples.step(
    4, "put_wal_back", "vh2", 42, 42, undo="Rename cs.wal back to cs.wal.bak, and cs.wal.incident-RUN back."
)
PLAN = samples.plan(
    steps=[
        samples.step(1, "stop_node", "vh1", 42, 42),
        CLEAR,
        samples.step(3, "start_node", "vh1", 42, 76),
        PUT,
    ]
)
KEPT = {"a": ["keep app.toml as app.toml.incident-run-a"], "b": ["keep app.toml as app.toml.incident-run-b"]}
MOVED = ["rename cs.wal to cs.wal.incident-run-b", "rename cs.wal.bak to cs.wal"]


def said(run: str, kind: str, step: dict[str, t.Any] | None = None, **data: t.Any) -> dict[str, t.Any]:
    named = {"step": step["number"], "action": step["action"], "host": step["host"]} if step else {}
    return {"run": f"run-{run}", "at": "2026-05-04T10:05:00Z", "kind": kind, "data": {**named, **data}}


def approved(run: str, digest: str = PLAN["digest"]) -> dict[str, t.Any]:
    return said(run, "approved", digest=digest)


def begun(run: str, step: dict[str, t.Any] = CLEAR) -> dict[str, t.Any]:
    return said(run, "action_started", step)


def ended(run: str, did: t.Any, ok: bool = True, step: dict[str, t.Any] = CLEAR) -> dict[str, t.Any]:
    return said(run, "action_finished", step, ok=ok, did=did)


@pytest.mark.parametrize(
    ("entries", "runs"),
    [
        ([], []),
        ([approved("a")], []),
        ([approved("a"), begun("a")], ["run-a"]),
        ([approved("a"), begun("a"), ended("a", KEPT["a"])], ["run-a"]),
        # Cut off after the file was changed: the one that goes on finds nothing to change.
        ([approved("a"), begun("a"), approved("b"), begun("b"), ended("b", [])], ["run-a"]),
        ([approved("a"), begun("a"), approved("b"), said("b", "guard", CLEAR, needed=False)], ["run-a"]),
        # Cut off before it was changed.
        ([approved("a"), begun("a"), approved("b"), begun("b"), ended("b", KEPT["b"])], ["run-b"]),
        # Cut off twice, or late: either may have kept the file.
        ([approved("a"), begun("a"), approved("b"), begun("b")], ["run-a", "run-b"]),
        ([approved("a"), begun("a"), approved("b"), begun("b"), ended("b", None, ok=False)], ["run-a", "run-b"]),
        # It was kept, and what came after failed.
        ([approved("a"), begun("a"), ended("a", KEPT["a"], ok=False)], ["run-a"]),
        # There was nothing to change.
        ([approved("a"), begun("a"), ended("a", [])], []),
        # Another plan, another step, and a run that approved nothing.
        ([approved("a", "halt-0123456789abcdef"), begun("a"), ended("a", KEPT["a"])], []),
        ([approved("a"), begun("a", PUT), ended("a", KEPT["a"], step=PUT)], []),
        ([begun("a"), ended("a", KEPT["a"])], []),
        # A run cannot speak in the name of another.
        ([approved("a"), approved("b"), begun("b"), ended("b", KEPT["a"])], []),
    ],
)
def test_whose_name_a_kept_file_has(entries: list[dict[str, t.Any]], runs: list[str]) -> None:
    assert undo.makers(entries, PLAN["digest"], CLEAR) == runs


def test_the_copy_that_a_cut_off_run_put_aside_has_its_name() -> None:
    renamed = [approved("a"), begun("a", PUT), approved("b"), begun("b", PUT)]
    halfway = [*renamed, ended("b", MOVED[1:], step=PUT)]
    assert undo.makers(halfway, PLAN["digest"], PUT) == ["run-a"]
    assert undo.makers([*renamed, ended("b", MOVED, step=PUT)], PLAN["digest"], PUT) == ["run-b"]


@pytest.mark.parametrize("data", [None, [], {"did": {"x": 1}}, {"did": "keep"}, {"did": [None, 7]}, {"ok": []}])
def test_entries_of_another_version_name_nothing(data: t.Any) -> None:
    odd = {**ended("a", None), "data": {**(ended("a", None)["data"]), **data} if isinstance(data, dict) else data}
    assert undo.makers([approved("a"), odd, {"kind": "action_finished"}], PLAN["digest"], CLEAR) == []


def test_what_was_not_begun_says_run_and_the_digest_stays() -> None:
    entries = [approved("a"), begun("a"), ended("a", KEPT["a"])]
    told = undo.told(PLAN, entries)
    assert "app.toml.incident-run-a on vh1" in told["steps"][1]["undo"]
    assert told["steps"][3] == PUT and undo.has_mark(told)
    assert plan.digest(told) == PLAN["digest"] and PLAN["steps"][1] == CLEAR
    both = undo.named(CLEAR, ["run-a", "run-b", "run-a"])["undo"]
    assert "app.toml.incident-run-a or .incident-run-b on vh1" in both


def test_the_report_of_a_plan_that_is_only_printed_says_what_run_is() -> None:
    for made in (report.markdown, report.html):
        page = made(samples.record("planned", plan=PLAN))
        assert page.count("RUN in the name of a file stands for") == 1
    assert "stands for the name of the run" not in report.markdown(samples.record())


def test_the_report_of_a_plan_that_was_carried_out_has_the_names() -> None:
    entries = [approved("a"), begun("a"), approved("b"), said("b", "guard", CLEAR, needed=False)]
    entries += [begun("b", PUT), ended("b", MOVED, step=PUT)]
    page = report.html(samples.record(plan=PLAN, entries=entries))
    assert "config/app.toml.incident-run-a on vh1" in page and "cs.wal.incident-run-b back" in page
    assert "incident-RUN" not in page and "RUN in the name" not in page


def test_what_runs_of_a_plan_began() -> None:
    entries = [
        {"run": "run-1", "kind": "action_started", "data": {"step": 1, "action": "stop_node", "host": "v9"}},
        {"run": "run-1", "kind": "approved", "data": {"digest": "halt-1"}},
        {"run": "run-1", "kind": "action_started", "data": {"step": 1, "action": "stop_node", "host": "v1"}},
        {"run": "run-2", "kind": "approved", "data": {"digest": "halt-2"}},
        {"run": "run-2", "kind": "action_started", "data": {"step": 1, "action": "stop_node", "host": "v2"}},
    ]
    assert undo.begun(entries, "halt-1") == [["stop_node", "v1"]]
    assert undo.begun(entries, "halt-3") == []
