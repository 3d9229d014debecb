# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault that fails half-way is on record, and no node is started on a signing state that nobody can vouch for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fleet import faults, heal, record, unfinished, watch
from tests.fleet.faults.kind import Fault, NotMade, Saved
from tests.fleet.layout import Layout
from tests.fleet.run import Failed

OWN, OTHER = "AA" * 20, "BB" * 20


class Box(SimpleNamespace):
    """A host's directories, and the commands that were given to it."""

    def run(self, command: Sequence[str]) -> None:
        self.commands.append(" ".join(command))


def home(path: Path, address: str, height: int | None = 7) -> Path:
    for name in ("config", "data"):
        (path / name).mkdir(parents=True)
    (path / unfinished.KEY).write_text(json.dumps({"address": address}), encoding="utf-8")
    # Cut off in the middle of its writing.
    text = '{"height": "' if height is None else json.dumps({"height": str(height), "round": 0, "step": 3})
    (path / unfinished.STATE).write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(name="vh1", directory=tmp_path, home=home(tmp_path / "disk/.virtengine", OWN), commands=[])


def kept(box: Box, kind: str, *arguments: str) -> Saved | None:
    return unfinished.kept(OWN, cast("Any", box), kind, arguments)


def test_a_clone_is_undone_by_its_whole_copy(box: Box) -> None:
    (box.home / unfinished.KEY).write_text(json.dumps({"address": OTHER}), encoding="utf-8")
    copy = home(box.directory / "own-key", OWN)
    assert kept(box, "clone", "vh2") == {"copy": str(copy)}
    assert box.commands == ["systemctl stop virtengine.service"]


def test_without_a_copy_the_home_was_not_changed(box: Box) -> None:
    (box.directory / "own-key/config").mkdir(parents=True)
    for kind, argument in (("clone", "vh2"), ("standby", "vh2"), ("signing-state", "behind")):
        assert kept(box, kind, argument) is None


@pytest.mark.parametrize(("address", "height"), [(OTHER, 7), (OWN, None)])
@pytest.mark.parametrize("kind", ["clone", "standby", "signing-state"])
def test_a_home_that_is_not_whole_and_its_own_stays_stopped(
    box: Box, tmp_path: Path, kind: str, address: str, height: int | None
) -> None:
    box.home = home(tmp_path / "changed", address, height)
    with pytest.raises(Failed, match="stays stopped"):
        kept(box, kind, "behind")
    assert box.commands[-1] == "systemctl disable --now virtengine.service"


def test_a_signing_state_is_put_back_from_its_copy_only_when_that_is_whole(box: Box) -> None:
    copy = box.directory / "signing-state"
    copy.write_text('{"height": "9"}', encoding="utf-8")
    assert kept(box, "signing-state", "behind") == {"copy": str(copy), "how": "behind"}
    copy.write_text('{"hei', encoding="utf-8")
    with pytest.raises(Failed, match="stays stopped"):
        kept(box, "signing-state", "behind")


def test_what_is_not_known_is_not_guessed(box: Box) -> None:
    with pytest.raises(Failed, match="what was there before is not known"):
        kept(box, "genesis", "other")
    assert kept(box, "disk-full") == {}


def test_a_key_that_may_run_twice_is_healed_before_any_other_start() -> None:
    made = [{"kind": kind, "where": "vh1"} for kind in ("standby", "cut")]
    with pytest.raises(Failed, match="heal its standby first"):
        heal._refuse_to_start_twice(made, made[1:])
    heal._refuse_to_start_twice(made, made)


@pytest.mark.parametrize(("heights", "done"), [((40, 39), False), ((40, 41), True), ((None, None), False)])
def test_what_the_chain_did_for_good_is_not_healed(
    monkeypatch: pytest.MonkeyPatch, heights: tuple[int | None, ...], done: bool
) -> None:
    monkeypatch.setattr(watch, "heights", lambda _names, hosts: dict(zip(hosts, heights)))
    upgraded: Any = SimpleNamespace(name="r", names=None, layout=SimpleNamespace(nodes=lambda: ["vh1", "vh2"]))
    meant: list[dict[str, Any]] = [
        {"kind": "stop", "where": "vh1"},
        {"kind": "upgrade", "where": "40", "saved": {"at": 40}},
    ]
    heal._refuse_after_the_upgrade(upgraded, meant[:1])
    with pytest.raises(Failed, match="down and up again") if done else contextlib.nullcontext():
        heal._refuse_after_the_upgrade(upgraded, meant)


def rig(monkeypatch: pytest.MonkeyPatch, inject: Callable[..., Saved]) -> Any:
    @contextlib.contextmanager
    def free(_names: object) -> Iterator[bool]:
        yield True

    monkeypatch.setattr(record, "locked", free)
    monkeypatch.setitem(faults.KINDS, "new", Fault("new", "HOST", "a fault", inject))
    kept_record = SimpleNamespace(faults=[], saved=[], layout=Layout())
    kept_record.save = lambda _names: kept_record.saved.append(json.loads(json.dumps(kept_record.faults)))
    return SimpleNamespace(names=None, record=kept_record, box=lambda name: name)


def test_a_fault_is_on_record_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rig(monkeypatch, lambda _box, _arguments: {"at": 3})
    faults.inject(made, "new", "vh1", ())
    begun, done = made.record.saved
    assert begun == [{"kind": "new", "where": "vh1", "arguments": [], "saved": {}, "begun": True}]
    assert done == [{"kind": "new", "where": "vh1", "arguments": [], "saved": {"at": 3}}]


@pytest.mark.parametrize(("error", "left"), [(Failed("half-way"), 1), (OSError("disk"), 1), (NotMade("no"), 0)])
def test_one_that_fails_half_way_stays_on_record(monkeypatch: pytest.MonkeyPatch, error: Exception, left: int) -> None:
    def fails(_box: object, _arguments: object) -> Saved:
        raise error

    made = rig(monkeypatch, fails)
    with pytest.raises(type(error)):
        faults.inject(made, "new", "vh1", ())
    assert [fault["begun"] for fault in made.record.saved[-1]] == [True] * left
