# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a run: many processes write it at once, hosts may be called anything, and it is gone at the end."""

from __future__ import annotations

import multiprocessing
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.state import RunState
from hypothesis import given
from hypothesis import strategies as st

HOSTS = ["web1", "../../etc/passwd", "a/b", "a-b", "look1-a", "", "-", "x" * 400, "\u5bbf", "\ud800", "a\nb", "a\0b"]


@pytest.fixture
def state() -> Iterator[RunState]:
    made = RunState.create({"run": "run-1"})
    yield made
    made.remove()


def test_a_run_that_was_not_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="from its beginning"):
        RunState(str(tmp_path))


def test_what_a_run_keeps_is_for_its_owner_and_gone_when_it_closes() -> None:
    state = RunState.create({"run": "run-1"})
    assert Path(state.path).stat().st_mode & 0o077 == 0
    state.keep("bundle", {"a": "{{ lookup('pipe', 'id') }}"})
    state.note("look1", "web1", 1)
    assert RunState(state.path).read("bundle") == {"a": "{{ lookup('pipe', 'id') }}"}
    assert state.read("nothing") is None
    state.remove()
    assert not Path(state.path).exists()


def test_without_a_place_for_it_the_record_keeps_nothing(state: RunState) -> None:
    assert not state.record().kept
    state.keep("run", {**state.facts, "record_path": "/srv/records/one"})
    assert RunState(state.path).record().path == "/srv/records/one"


def test_what_is_noted_is_told_by_host_in_its_order(state: RunState) -> None:
    for number in range(3):
        state.note("step1", "web1", {"n": number})
    state.note("step1", "web2", None)
    state.note("step10", "web3", "another step")
    assert state.noted("step1") == {"web1": [{"n": 0}, {"n": 1}, {"n": 2}], "web2": [None]}
    assert state.noted("step") == {} and state.noted("") == {}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_may_be_called_anything(state: RunState, host: str) -> None:
    state.note("look1", host, {"host": host})
    assert state.noted("look1") == {host: [{"host": host}]}
    assert {path.parent for path in Path(state.path).rglob("*")} == {Path(state.path)}


def test_hosts_of_like_names_are_kept_apart(state: RunState) -> None:
    for host in HOSTS:
        state.note("look1", host, host)
    assert state.noted("look1") == {host: [host] for host in HOSTS}


@given(st.dictionaries(st.text(), st.lists(st.integers() | st.text(), min_size=1), max_size=5))
def test_whatever_is_noted_comes_back(notes: dict[str, list[t.Any]]) -> None:
    state = RunState.create({"run": "run-1"})
    try:
        for host, values in notes.items():
            for value in values:
                state.note("look1", host, value)
        assert state.noted("look1") == notes
    finally:
        state.remove()


def note_many(path: str, host: str) -> None:
    for number in range(10):
        RunState(path).note("look1", host, {"n": number, "text": "x" * 50_000})


def test_many_processes_note_at_once(state: RunState) -> None:
    fork = multiprocessing.get_context("fork")
    hosts = [f"host{number}" for number in range(12)]
    writers = [fork.Process(target=note_many, args=(state.path, host)) for host in hosts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    noted = state.noted("look1")
    assert set(noted) == set(hosts)
    assert all([value["n"] for value in noted[host]] == list(range(10)) for host in hosts)


def read_until(path: str, last: int, failed: t.Any) -> None:
    """Read what another process keeps again and again; it must never be half of it."""
    found = None
    while found is None or found[0] < last:
        found = RunState(path).read("counter")
        if found is not None and found != [found[0]] * 2000:
            failed.set()


def test_what_is_kept_is_never_read_half(state: RunState) -> None:
    fork = multiprocessing.get_context("fork")
    failed = fork.Event()
    reader = fork.Process(target=read_until, args=(state.path, 50, failed))
    reader.start()
    for number in range(51):
        state.keep("counter", [number] * 2000)
    reader.join(30)
    assert reader.exitcode == 0 and not failed.is_set()
