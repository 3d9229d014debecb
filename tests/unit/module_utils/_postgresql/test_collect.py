# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All evidence in one call: each part stands for itself, and none comes after the deadline."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import collect

from tests.unit.module_utils._postgresql.fakes import FOUND, Failed, Library, put

EVERYWHERE = {"server", "responder_locks"}
ON_HOST = {"processes", "disk", "memory", "units", "log", "pooler_log"}
SEEN = {"seen": True}


def no_bus(*_arguments: Any) -> None:
    raise PartError("privilege", "no bus")


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> collect.Options:
    """Options of a host on which everything answers at once."""
    monkeypatch.setattr(collect.server, "read", lambda found: {"found": found})
    monkeypatch.setattr(collect.pooler, "read", lambda found, local: {"found": found, "local": local})
    monkeypatch.setattr(collect.lock, "seen", lambda: SEEN)
    monkeypatch.setattr(collect.host, "units", lambda names, timeout: {"names": list(names)})
    monkeypatch.setattr(collect.host, "log", lambda path, since: {"path": path, "age": time.time() - since})
    monkeypatch.setattr(collect.host, "pooler_log", lambda since: {"age": time.time() - since})
    monkeypatch.setattr(collect.host, "memory", lambda: SEEN)
    for name in ("processes", "disk"):
        monkeypatch.setattr(collect.host, name, lambda port: {"port": port})
    return collect.Options(FOUND, {"host": "/run/pg"}, True, 5433, ("a.service",), "/log", 900, 20)


def test_every_part_gets_what_it_was_asked_for(options: collect.Options) -> None:
    found = collect.collect(options)
    assert set(found) == {*EVERYWHERE, "pooler", *ON_HOST} and all(part["ok"] for part in found.values())
    data = {name: part["data"] for name, part in found.items()}
    assert data["server"] == {"found": FOUND} and data["pooler"] == {"found": {"host": "/run/pg"}, "local": True}
    assert data["units"] == {"names": ["a.service"]} and data["memory"] == data["responder_locks"] == SEEN
    assert data["processes"] == data["disk"] == {"port": 5433} and data["log"]["path"] == "/log"
    assert all(899 < data[name]["age"] < 910 for name in ("log", "pooler_log"))
    remote = collect.collect(options._replace(pooler={"host": "db.example.org"}))
    assert remote["pooler"]["data"]["local"] is False


def test_elsewhere_the_host_is_not_looked_at(options: collect.Options) -> None:
    assert set(collect.collect(options._replace(on_host=False))) == {*EVERYWHERE, "pooler"}
    assert set(collect.collect(options._replace(on_host=False, pooler=None))) == EVERYWHERE


def test_a_pooler_that_is_missing_and_a_server_that_is_full_take_no_part_with_them(
    options: collect.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(collect.host, "disk", lambda _path: 1 / 0)
    put(monkeypatch, Library(lambda *_: [], refuses=Failed("FATAL:  sorry, too many clients already")))
    missing = Library(lambda *_: [], refuses=Failed("connection to server on socket failed: No such file or directory"))

    def without_pooler(found: dict[str, Any], local: bool) -> None:
        put(monkeypatch, missing)
        raise collect.pooler.login.refusal(missing.refuses or Failed(""), "PgBouncer")

    monkeypatch.setattr(collect.pooler, "read", without_pooler)
    monkeypatch.setattr(collect.host, "units", no_bus)
    found = collect.collect(options._replace(server_log="/nowhere/log"))
    kinds = {name: part["error"]["kind"] for name, part in found.items() if not part["ok"]}
    wanted = {"server": "exhausted", "pooler": "refused", "disk": "failed", "units": "privilege", "log": "absent"}
    assert {name: kinds[name] for name in wanted} == wanted
    assert found["memory"]["ok"] and found["memory"]["data"]["bytes"] > 0 and found["processes"]["ok"]


def test_the_answer_has_a_second_for_its_way_back(options: collect.Options, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[float] = []

    def gather(work: dict[str, Any], until: float) -> dict[str, Any]:
        left.append(until - time.monotonic())
        return dict.fromkeys(work)

    monkeypatch.setattr(collect.parts, "gather", gather)
    assert "server" in collect.collect(options._replace(deadline=300))
    assert 200 < left[0] <= 299
