# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The confusion matrix counts what it says, and the rules of losses are broken by what breaks them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recorded import confusion, losses
from tests.recorded.confusion import NOTHING, OTHER, STAYED, SYMPTOM, UNKNOWN, Told
from tests.recorded.kept import kept

Data = losses.Data


def judged(status: str, roots: str = "", symptoms: str = "", refuted: str = "", steps: str = "") -> losses.Judged:
    causes = [{"id": name, "role": "root"} for name in roots.split()]
    causes += [{"id": name, "role": "symptom"} for name in symptoms.split()]
    verdict = {
        "status": status,
        "confirmed": True,
        "causes": causes,
        "refuted": [{"id": name} for name in refuted.split()],
    }
    planned = [{"action": "start_node", "hosts": [host]} for host in steps.split()]
    return losses.Judged(verdict, {"steps": planned, "withheld": []})


@pytest.mark.parametrize(
    ("made", "named", "wanted"),
    [
        ("a", "a", {("a", "a")}),
        ("a b", "b a", {("a", "a"), ("b", "b")}),
        ("a", "b", {("a", "b")}),
        ("a b", "a", {("a", "a"), ("b", NOTHING)}),
        ("a", "a b", {("a", "a"), (NOTHING, "b")}),
        ("a b", "b c", {("b", "b"), ("a", "c")}),
        ("", "", {(NOTHING, NOTHING)}),
    ],
)
def test_a_bundle_stands_in_the_cells_of_its_causes(made: str, named: str, wanted: set[tuple[str, str]]) -> None:
    assert confusion.cells(set(made.split()), set(named.split())) == wanted


FULL = judged("incident", "disk_full", "processes_down", refuted="network_split not_halted", steps="vh1")


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (FULL, STAYED),
        (judged("incident", "disk_full"), STAYED),
        (judged("incident", "processes_down"), SYMPTOM),
        (judged("incident", "cannot_tell", "processes_down"), SYMPTOM),
        (judged("incident", "cannot_tell"), UNKNOWN),
        (judged("unknown", "disk_full"), UNKNOWN),
        (judged("incident", "few_peers"), OTHER),
    ],
)
def test_what_a_loss_makes_of_a_verdict_is_told_apart(after: losses.Judged, wanted: str) -> None:
    assert confusion.outcome(FULL, after) == wanted
    assert losses.broken_rules(FULL, after, losses.FAILED) == []


@pytest.mark.parametrize(
    ("after", "how", "broken"),
    [
        (judged("incident", "network_split"), losses.FAILED, 1),
        (judged("incident", "network_split"), losses.ABSENT, 1),
        # A late answer is an observation of its own.
        (judged("incident", "network_split"), losses.LATE, 0),
        (judged("incident", "", "network_split"), losses.FAILED, 1),
        (judged("degraded", "disk_full"), losses.LATE, 1),
        (judged("healthy", "not_halted"), losses.FAILED, 2),
        (judged("incident", "disk_full", steps="vh1 vh2"), losses.FAILED, 1),
    ],
)
def test_a_rule_is_broken_by_what_breaks_it(after: losses.Judged, how: str, broken: int) -> None:
    assert len(losses.broken_rules(FULL, after, how)) == broken


def test_the_grid_is_narrow_and_has_every_cell() -> None:
    every = confusion.ORDER[:-1]
    told = [Told(cause, False, {cause}, {cause}) for cause in every for _time in range(11)]
    told += [Told("wrong", False, {every[0]}, {every[1]}), Told("missed", True, {every[2]}, set())]
    lines = confusion.grid(told)
    assert len(lines) == 2 + len(every) + 1
    assert all("11" in line for line in lines[2:-1])
    few = confusion.grid([Told(cause, False, {cause}, {cause}) for cause in every])
    assert max(len(line) for line in few) <= confusion.WIDTH
    assert confusion.faults(told) == [
        f"off the diagonal: wrong: made {every[0]}; the verdict names {every[1]}",
        f"off the diagonal: missed: made {every[2]}; the verdict names nothing",
    ]
    assert max(len(line) for line in confusion.legend(told)) <= confusion.WIDTH


def test_one_seed_draws_the_same_losses_again() -> None:
    one = next(entry for entry in kept() if entry.name == "stopped")
    first, second = (confusion.tell(one, 12, seed=3) for _time in range(2))
    assert (first.outcomes, first.named) == (second.outcomes, {"processes_down"})
    assert sum(first.outcomes.values()) == 12


@given(chance=st.randoms(use_true_random=False))
def test_only_what_is_there_gets_lost(chance: random.Random) -> None:
    lost = confusion.draw(chance, ["vh1", "vh2"], [1, 2])
    assert 0 < len(lost) <= confusion.MOST_AT_ONCE
    assert {host for host, _look, _part in lost} <= {"vh1", "vh2"}
    assert {look for _host, look, _part in lost} <= {1, 2}
    assert {part for _host, _look, part in lost} <= set(losses.LOSABLE)
