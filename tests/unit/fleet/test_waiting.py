# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rig waits for states: it neither takes a young halt for one, nor restarts a node that comes along by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fleet import heal, watch
from tests.fleet.faults import kind
from tests.fleet.run import Failed

NOW = datetime(2026, 1, 30, 12, 0, tzinfo=timezone.utc)


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def block(self, at: float) -> str:
        """The time of a block that was made at a second of this clock."""
        return (NOW + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()

    class Today(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return NOW + timedelta(seconds=found.now)

    for module in (watch, heal):
        monkeypatch.setattr(module, "time", found)
    monkeypatch.setattr(watch, "datetime", Today)
    return found


def record() -> Any:
    return SimpleNamespace(layout=SimpleNamespace(nodes=lambda: ["a", "b"]))


def showing(monkeypatch: pytest.MonkeyPatch, show: Callable[[str], tuple[int | None, str | None]]) -> None:
    monkeypatch.setattr(watch, "_newest", lambda _names, hosts: {host: show(host) for host in hosts})


def test_a_halt_is_the_age_of_the_newest_block(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks come until second 50; ``b`` lags behind and has an old block all the time."""
    showing(monkeypatch, lambda host: (3, clock.block(-90)) if host == "b" else (9, clock.block(min(clock.now, 50))))
    assert watch.wait_halted(cast("Any", None), record()) == 9
    assert watch.HALTED_S <= clock.now - 50 < watch.HALTED_S + 2


def test_a_chain_that_moves_is_no_halt(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    showing(monkeypatch, lambda host: (int(clock.now) + 1, clock.block(clock.now)))
    with pytest.raises(Failed, match="no halt within 60 s"):
        watch.wait_halted(cast("Any", None), record(), timeout=60)


def test_where_nobody_answers_there_is_no_halt(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    showing(monkeypatch, lambda host: (None, None))
    with pytest.raises(Failed, match="no halt within 60 s"):
        watch.wait_halted(cast("Any", None), record(), timeout=60)


def test_a_height_is_waited_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    box = cast("Any", SimpleNamespace(name="a"))
    monkeypatch.setattr(watch, "_sync", lambda _box: (7, None) if clock.now > 20 else (None, None))
    assert kind.height(box, "+5") == 12
    monkeypatch.setattr(watch, "_sync", lambda _box: (None, None))
    with pytest.raises(kind.NotMade, match="give the height itself"):
        kind.height(box, "+5")


class Rig:
    """Nodes that show a height at a second of the clock; which of them were restarted."""

    def __init__(self, clock: Clock, heights: dict[str, Callable[[float], int | None]]) -> None:
        self.clock = clock
        self.at = heights
        self.names, self.name = None, "rig"
        self.layout = SimpleNamespace(
            hosts=[SimpleNamespace(name=name, standby_of=None, service="node") for name in heights]
        )
        self.restarted: list[str] = []

    def each(self, action: Callable[[Any], Any], hosts: list[str] | None = None) -> None:
        if action is heal._restart:
            self.restarted += hosts or []

    def wait_for_blocks(self, _more: int, _timeout: float) -> None:
        self.clock.now += 1


@pytest.fixture
def settled(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    monkeypatch.setattr(heal, "network", SimpleNamespace(join_again=lambda _names: None))
    monkeypatch.setattr(heal, "_set_is_whole", lambda _rig, _witness: None)

    def settle(**heights: Callable[[float], int | None]) -> list[str]:
        rig = Rig(clock, heights)
        monkeypatch.setattr(watch, "heights", lambda _names, hosts: {host: heights[host](clock.now) for host in hosts})
        heal._settle(cast("Any", rig))
        return rig.restarted

    return settle


def test_a_node_that_catches_up_slowly_is_left_alone(settled: Callable[..., list[str]]) -> None:
    assert settled(a=lambda now: 100, b=lambda now: min(100, int(now))) == []


def test_a_node_that_does_not_come_along_is_restarted(settled: Callable[..., list[str]]) -> None:
    """It answers again 10 s after its restart."""
    restarted = settled(a=lambda now: 100, b=lambda now: 100 if now > heal.STUCK_S + 10 else None)
    assert restarted == ["b"]


def test_what_never_heals_is_given_up(settled: Callable[..., list[str]]) -> None:
    with pytest.raises(Failed, match="does not heal"):
        settled(a=lambda now: 100, b=lambda now: 7)
