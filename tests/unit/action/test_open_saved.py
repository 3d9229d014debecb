# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over saved evidence: no host is asked, nothing can be approved, and what is no evidence is refused."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.action import incident_open

from tests.unit.action.opening import HOUSE, Data, Opening, bundle, facts
from tests.unit.action.steps import Known, Runs


@pytest.fixture
def opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    made = Opening(tmp_path, monkeypatch)
    yield made
    made.end()


def saved(folder: Path, content: t.Any) -> str:
    path = folder / "evidence.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.fixture
def evidence(opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """What a run over the house kept."""
    runs = Runs(tmp_path, monkeypatch)
    run = runs.new(HOUSE, ("hall", "cellar"))
    run.diagnose()
    found: Data = run.state.read("bundle")
    runs.end()
    opening.known = Known(monkeypatch)
    return found


def test_saved_evidence_asks_no_host(opening: Opening, evidence: Data, tmp_path: Path) -> None:
    opening.options("")
    result = opening(incident_evidence=saved(tmp_path, evidence))
    assert (result["replay"], result["observed"], result["play_hosts"]) == (True, [], ["localhost"])
    assert bundle(result) == evidence
    assert facts(result)["replay"] is True


def test_what_is_set_now_counts_beside_evidence_of_then(opening: Opening, evidence: Data, tmp_path: Path) -> None:
    path = saved(tmp_path, {**evidence, "settings": {"lamp_watts": 5}})
    assert bundle(opening(incident_evidence=path))["settings"] == {"lamp_watts": 5}
    assert bundle(opening(incident_evidence=path, lamp_watts=60))["settings"] == {"lamp_watts": 60}


def test_evidence_of_the_past_approves_nothing(opening: Opening, evidence: Data, tmp_path: Path) -> None:
    path = saved(tmp_path, evidence)
    said = opening.refused(incident_evidence=path, incident_approve="lamp-0123456789abcdef")
    assert "Saved evidence is the past" in said


def test_evidence_of_another_incident_is_refused(opening: Opening, evidence: Data, tmp_path: Path) -> None:
    said = opening.refused(incident_evidence=saved(tmp_path, {**evidence, "incident": "torch"}))
    assert "this is evidence of torch, not of lamp" in said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is not an evidence bundle"),
        ("no json", "is not an evidence bundle"),
        ("[]", "the bundle: expected an object"),
        ("[" * 100_000, "is not an evidence bundle"),
        ("{}", "schema: expected"),
        ("\x00\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "is not an evidence bundle"),
    ],
)
def test_what_is_no_evidence_is_refused(opening: Opening, tmp_path: Path, content: str, why: str) -> None:
    assert why in opening.refused(incident_evidence=saved(tmp_path, content))


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"lamp_watts": 500}},
        {"settings": {"incident_approve": "x"}},
        {"inventory": {"hall": {"declared": {"lamp_address": "x"}, "target": True, "observed": True, "groups": []}}},
        {"inventory": {"hall": {"declared": {"other": "x"}, "target": True, "observed": True, "groups": []}}},
    ],
)
def test_what_nobody_may_set_is_no_evidence_either(
    opening: Opening, evidence: Data, tmp_path: Path, change: Data
) -> None:
    path = saved(tmp_path, {**evidence, "observations": [], **change})
    assert "is not an evidence bundle: settings: " in opening.refused(incident_evidence=path)


def test_a_file_that_cannot_be_read_is_named(opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such file" in opening.refused(incident_evidence=str(tmp_path / "nothing.json"))
    assert "Cannot read incident_evidence" in opening.refused(incident_evidence=str(tmp_path))
    monkeypatch.setattr(incident_open, "MOST_EVIDENCE", 10)
    assert "larger than 64 MB" in opening.refused(incident_evidence=saved(tmp_path, "x" * 11))
