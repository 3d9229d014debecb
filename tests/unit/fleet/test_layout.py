# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layouts can be built, and in which group of the inventory each host is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fleet import database, faults, inventory, layout, record, watch
from tests.fleet.layout import BadLayout, Host
from tests.fleet.run import Failed

DATABASE = {"name": "vdb1", "service": "database"}
VALIDATOR = {"name": "va", "power": 10}


def parse(*hosts: dict[str, Any]) -> layout.Layout:
    return layout.parse({"hosts": list(hosts)})


@pytest.mark.parametrize(
    ("hosts", "nodes", "databases"),
    [
        ([DATABASE], [], ["vdb1"]),
        ([DATABASE, {**DATABASE, "name": "vdb2", "ours": False}], [], ["vdb1", "vdb2"]),
        ([VALIDATOR], ["va"], []),
        ([DATABASE, VALIDATOR, {"name": "vb"}], ["va", "vb"], ["vdb1"]),
    ],
)
def test_a_layout_has_hosts_of_the_chain_of_databases_or_of_both(
    hosts: list[dict[str, Any]], nodes: list[str], databases: list[str]
) -> None:
    made = parse(*hosts)
    assert (made.nodes(), made.databases()) == (nodes, databases)
    assert layout.parse(made.to_json()) == made


@pytest.mark.parametrize(
    ("hosts", "why"),
    [
        ([], "1 to 64 hosts"),
        ([{"name": "vs1"}], "no host has voting power"),
        ([DATABASE, {"name": "vs1"}], "no host has voting power"),
        ([{**DATABASE, "power": 5}], "a database host has no node"),
        ([{**DATABASE, "rpc": "bridge"}], "a database host has no node"),
        ([VALIDATOR, {**DATABASE, "standby_of": "va"}], "a database host has no node"),
        ([VALIDATOR, DATABASE, {"name": "sb", "standby_of": "vdb1"}], "stands by for a validator"),
        ([{"name": "vdb1", "service": "queue"}], "neither node nor database"),
        ([{"name": "vdb1", "service": None}], "neither node nor database"),
        ([{**DATABASE, "name": "a-database"}], "a letter and at most 8 more"),
        ([DATABASE, {"name": "vdb1", "power": 1}], "two hosts are called vdb1"),
    ],
)
def test_what_cannot_be_built_is_refused(hosts: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(BadLayout, match=why):
        parse(*hosts)


def test_the_default_has_no_database() -> None:
    assert layout.Layout().databases() == []
    assert Host("vdb1", service="database").role == "database"


def groups(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            found[list(found)[-1]].append(line.split()[0])
    return found


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    [
        ([DATABASE], {"databases": ["vdb1"], "fleet:children": ["databases"]}),
        ([{**DATABASE, "ours": False}], {"fleet:children": []}),
        (
            [VALIDATOR, DATABASE, {"name": "vs"}],
            {
                "validators": ["va"],
                "sentries": ["vs"],
                "databases": ["vdb1"],
                "fleet:children": ["validators", "sentries", "databases"],
            },
        ),
    ],
)
def test_a_database_host_is_in_its_own_group(hosts: list[dict[str, Any]], wanted: dict[str, list[str]]) -> None:
    made = parse(*hosts)
    addresses = dict.fromkeys(made.names(), "10.0.0.1")
    names = cast("Any", SimpleNamespace(rig="r", state=Path("/r")))
    found = groups(inventory.text(names, made, addresses, {"va": "AA"}))
    del found["fleet:vars"]
    assert found == wanted


def test_a_rig_without_a_chain_shows_its_databases() -> None:
    found = {
        "name": "db",
        "hosts": [],
        "databases": [
            {
                "host": "vdb1",
                "role": "database",
                "ours": True,
                "power_state": "on",
                "units": {database.SERVER: "active/running", database.POOLER: None},
                "answers": {database.SERVER: True, database.POOLER: None},
                "address": "10.0.0.1",
            }
        ],
        "faults": [{"kind": "db-pooler-down", "where": "vdb1", "arguments": []}],
    }
    head, _empty, _columns, row, fault = watch.table(found)
    assert head == "rig db, without a chain"
    assert row.split() == ["vdb1", "database", "ours", "on", "active/running", "True", "?", "?", "10.0.0.1"]
    assert fault == "fault: db-pooler-down vdb1"


@pytest.mark.parametrize(("kind", "where"), [("stop", "vdb1"), ("db-stopped", "va"), ("inodes", "vdb1")])
def test_a_fault_is_made_where_its_service_is(monkeypatch: pytest.MonkeyPatch, kind: str, where: str) -> None:
    monkeypatch.setattr(record, "locked", lambda _names: contextlib.nullcontext())
    made = SimpleNamespace(faults=[], layout=parse(VALIDATOR, DATABASE))
    rig: Any = SimpleNamespace(names=None, record=made, box=lambda name: name)
    with pytest.raises(Failed, match=f"{where} has no"):
        faults.inject(rig, kind, where, ())
    assert made.faults == []


def test_debians_pooler_configuration_is_changed_where_it_has_a_line() -> None:
    theirs = ";; comment\n[databases]\n;x = host=y\n[pgbouncer]\nlisten_addr = localhost\n;pool_mode = session\n"
    rest = ";default_pool_size = 20\n;max_client_conn = 100\n;stats_users = stats, root\n"
    ours = database.pooler_configuration(theirs + rest)
    assert "[databases]\norders = host=127.0.0.1 port=5432 dbname=orders\nbilling = " in ours
    assert "\nlisten_addr = *\npool_mode = transaction\ndefault_pool_size = 10\nmax_client_conn = 100\n" in ours
    assert ours.endswith("stats_users = monitor\n")
    with pytest.raises(Failed, match="no line for pool_mode"):
        database.pooler_configuration("[databases]\nlisten_addr = x\n")
