# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person says of the endpoints: the chain that is meant, how they are asked, whom to trust."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.virtengine.incident.plugins.action.chain_probe import ActionModule
from ansible_collections.virtengine.incident.plugins.action.incident_open import with_chain, wrong_names
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal, now
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle

from tests.unit.plugin_utils._chain.probe.views import endpoint

REPO = Path(__file__).resolve().parents[5]
HOST: dict[str, t.Any] = {"address": None, "target": True, "observed": True, "groups": []}


def of_host(chain: str) -> dict[str, t.Any]:
    seen = endpoint("vh1", chain_id=chain)
    return {**seen, "source": "node_evidence", "data": {"rpc": seen["data"]}}


@pytest.mark.parametrize("declared", [None, "rig-1"])
def test_the_declared_chain_wins_over_what_a_host_shows(declared: str | None) -> None:
    bundle = _bundle.new("chain_halt", now(), {"vh1": HOST}, declared=declared)
    bundle = _bundle.add(bundle, of_host("other-9"))
    assert bundle["chain_id"] == (declared or "other-9")
    assert ("declared_chain_id" in bundle) is (declared is not None)
    assert _bundle.check(json.loads(json.dumps(bundle))) == bundle


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "x" * 101, "\u202erig"])
def test_what_is_no_chain_id_is_refused(name: str) -> None:
    bundle = _bundle.new("chain_halt", now(), {})
    with pytest.raises(Refusal, match="incident_chain_id") as caught:
        with_chain(bundle, name)
    assert str(caught.value).isprintable() and "Nothing was done" in str(caught.value)
    with pytest.raises(_bundle.BadEvidence, match="declared_chain_id"):
        _bundle.check({**bundle, "declared_chain_id": name})


@pytest.mark.parametrize("name", [None, 7, [], {}])
def test_saved_evidence_with_another_declaration_is_none(name: t.Any) -> None:
    with pytest.raises(_bundle.BadEvidence, match="declared_chain_id"):
        _bundle.check({**_bundle.new("chain_halt", now(), {}), "declared_chain_id": name})


def test_without_a_declaration_the_bundle_stays_as_it_is() -> None:
    bundle = _bundle.new("chain_halt", now(), {})
    assert with_chain(bundle, None) is bundle and "declared_chain_id" not in bundle


def test_the_run_reaches_every_option_that_says_whom_to_ask_and_to_trust() -> None:
    (task,) = yaml.safe_load((REPO / "roles/incident/tasks/probe.yml").read_text(encoding="utf-8"))
    given = task["virtengine.incident.chain_probe"]
    assert set(ActionModule.ARGUMENTS) - set(given) == {"parallel", "discover_limit"}
    for play in ("chain_halt", "chain_probe"):
        opened = yaml.safe_load((REPO / f"playbooks/{play}.yml").read_text(encoding="utf-8"))[0]["tasks"][0]
        assert "incident_chain_id" in opened["virtengine.incident.incident_open"]["chain_id"]
    text = json.dumps(given)
    names = [f"incident_reference_{name}" for name in ("ca_path", "deadline", "discover", "rpcs", "validate_certs")]
    assert all(name in text for name in [*names, "incident_chain_id"])
    assert wrong_names([*names, "incident_chain_id", "incident_reference_ca"], "chain_halt") == [
        "incident_reference_ca"
    ]
