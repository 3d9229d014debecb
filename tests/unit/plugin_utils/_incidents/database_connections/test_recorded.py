# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of a real PostgreSQL and PgBouncer, one fault each (tests/fleet/faults/database.py), judged again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections.incident import (
    DATABASE_CONNECTIONS,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as bundles

from tests.unit.plugin_utils._incidents.database_connections.build import Data, failed

FOLDER = Path(__file__).resolve().parents[4] / "data/databases"
# name: status, root causes, actions of the plan
RECORDED: dict[str, tuple[str, set[str], list[str]]] = {
    "idle-in-transaction": ("incident", {"idle_in_transaction"}, ["terminate_backends"]),
    "ddl-pileup": ("incident", {"idle_in_transaction", "ddl_queue"}, ["terminate_backends"]),
    "idle-leak": ("incident", {"idle_leak"}, ["terminate_backends"]),
    "pool-held-idle": ("incident", {"pool_held_idle"}, ["terminate_backends"]),
    "pooler-paused": ("incident", {"pooler_paused"}, ["resume_pool"]),
    "prepared": ("incident", {"prepared_transaction"}, []),
    "role-limit": ("incident", {"role_or_database_limit"}, []),
    "server-stopped": ("incident", {"server_stopped"}, []),
    "pooler-down": ("incident", {"pooler_down"}, []),
    "disk-full": ("incident", {"no_space"}, []),
    "vacuum": ("incident", {"vacuum_in_the_way"}, []),
    "server-full": ("incident", set(), []),
}


def load(name: str) -> Data:
    saved = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return bundles.check(saved, DATABASE_CONNECTIONS)


@pytest.mark.parametrize("name", RECORDED)
def test_the_verdict_and_the_plan_are_those_of_the_fault(name: str) -> None:
    bundle = load(name)
    judged = DATABASE_CONNECTIONS.assess(bundle)
    draft = DATABASE_CONNECTIONS.plan(bundle, judged, None)
    found = {cause["id"] for cause in judged["causes"] if cause["role"] == "root"}
    assert (judged["status"], found, [step["action"] for step in draft["steps"]]) == RECORDED[name]
    assert judged["confirmed"]


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("part", ["server", "pooler", "processes", "units", "disk", "log", "pooler_log"])
def test_a_part_that_is_lost_makes_nothing_calm(name: str, part: str) -> None:
    bundle = load(name)
    for entry in bundle["observations"]:
        if entry["ok"]:
            entry["data"][part] = failed("late", "not finished when the deadline passed")
    judged = DATABASE_CONNECTIONS.assess(bundle)
    assert judged["status"] in ("incident", "unknown"), judged["summary"]


def test_every_recorded_file_has_its_row() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*RECORDED}


@pytest.mark.parametrize("name", RECORDED)
def test_no_value_of_a_statement_is_kept(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert "password" not in text.lower()
    queries = [
        row["query"]
        for entry in load(name)["observations"]
        for row in entry["data"]["server"].get("data", {}).get("sessions", {}).get("data", [])
    ]
    assert not [query for query in queries if "'" in query]
