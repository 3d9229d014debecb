# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person says of a chain: its id, the address of a validator, the endpoints outside the inventory."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import variables
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import read
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import (
    CHAIN_HALT,
    CHAIN_PROBE,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as bundles
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Misuse
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._chain.probe.views import endpoint

AT = "2026-11-24T19:50:00Z"
HOST: dict[str, t.Any] = {"declared": {}, "target": True, "observed": True, "groups": []}
ADDRESS = "0A" * 20
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def of_host(chain: str) -> dict[str, t.Any]:
    seen = endpoint("vh1", chain_id=chain)
    return {**seen, "source": "node_evidence", "data": {"rpc": seen["data"]}}


@pytest.mark.parametrize("declared", [None, "rig-1"])
def test_the_declared_chain_wins_over_what_a_host_shows(declared: str | None) -> None:
    settings = CHAIN_HALT.settings({"incident_chain_id": declared})
    bundle = bundles.new(CHAIN_HALT, AT, {"vh1": HOST}, settings=settings)
    bundle = bundles.add(bundle, of_host("other-9"), CHAIN_HALT.sources)
    assert read(bundle).chain_id == (declared or "other-9")
    assert bundles.check(json.loads(json.dumps(bundle)), CHAIN_HALT) == bundle


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "x" * 101, "\u202erig", True, 1.5, [], {}])
def test_what_is_no_chain_id_is_refused(name: t.Any) -> None:
    for incident in (CHAIN_HALT, CHAIN_PROBE):
        given_too = {variables.REFERENCES: ["http://a:1"]}
        with pytest.raises(Misuse, match="incident_chain_id") as caught:
            incident.settings({**given_too, "incident_chain_id": name})
        assert str(caught.value).isprintable()
    with pytest.raises(bundles.BadEvidence, match="incident_chain_id"):
        bundles.check({**bundles.new(CHAIN_HALT, AT, {}), "settings": {"incident_chain_id": name}}, CHAIN_HALT)


def test_a_chain_id_of_digits_may_come_as_a_number() -> None:
    assert CHAIN_HALT.settings({"incident_chain_id": 7}) == {"incident_chain_id": "7"}
    with pytest.raises(bundles.BadEvidence, match="not the settings"):
        bundles.check({**bundles.new(CHAIN_HALT, AT, {}), "settings": {"incident_chain_id": 7}}, CHAIN_HALT)


@pytest.mark.parametrize("given_as", [ADDRESS, ADDRESS.lower(), f" {ADDRESS}\n"])
def test_a_host_declares_its_address_in_any_case(given_as: str) -> None:
    assert variables.declared("vh1", {variables.ADDRESS: given_as}) == {variables.ADDRESS: ADDRESS}


@pytest.mark.parametrize("given_as", ["", "0A", "0G" * 20, ADDRESS + "00", 5, [ADDRESS], "virtenginevalcons1xyz"])
def test_another_address_is_refused_with_where_to_find_it(given_as: t.Any) -> None:
    with pytest.raises(Misuse, match=r"of vh1 is not a consensus address.*validator_info.address"):
        variables.declared("vh1", {variables.ADDRESS: given_as})
    bundle = bundles.new(CHAIN_HALT, AT, {"vh1": HOST})
    bundle["inventory"]["vh1"] = {**HOST, "declared": {variables.ADDRESS: given_as}}
    with pytest.raises(bundles.BadEvidence):
        bundles.check(bundle, CHAIN_HALT)


def test_where_a_node_lies_is_no_evidence() -> None:
    assert variables.declared("vh1", dict.fromkeys(sorted(variables.NODE_VARIABLES))) == {}
    assert variables.declared("vh1", {"incident_node_home": "/srv/node"}) == {}


@pytest.mark.parametrize("urls", [["http://a:1", "http://b:1"], "http://a:1,http://b:1", " http://a:1 , http://b:1,"])
def test_endpoints_come_as_a_list_or_parted_by_commas(urls: t.Any) -> None:
    assert CHAIN_PROBE.settings({variables.REFERENCES: urls}) == {variables.REFERENCES: ["http://a:1", "http://b:1"]}


@pytest.mark.parametrize("urls", [None, [], "", ",", [""], [5], 5, {}, True])
def test_without_an_endpoint_a_probe_asks_for_one(urls: t.Any) -> None:
    with pytest.raises(Misuse, match="Name one RPC endpoint or more: -e incident_reference_rpcs=URL,URL"):
        CHAIN_PROBE.settings({variables.REFERENCES: urls})


@given(given_values=st.fixed_dictionaries(dict.fromkeys(sorted(CHAIN_HALT.variables), JSON)), address=JSON)
def test_any_value_is_refused_or_kept_so_that_saved_evidence_is_accepted(
    given_values: dict[str, t.Any], address: t.Any
) -> None:
    for incident in (CHAIN_HALT, CHAIN_PROBE):
        try:
            kept = incident.settings(given_values)
        except Misuse as misuse:
            assert str(misuse).isprintable()
        else:
            assert incident.settings(json.loads(json.dumps(kept))) == kept
    try:
        declared = variables.declared("vh1", {variables.ADDRESS: address})
    except Misuse as misuse:
        assert str(misuse).isprintable()
    else:
        assert variables.declared("vh1", declared) == declared
