# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chain is judged, where hosts name several."""

from __future__ import annotations

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading import chain_id

from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import four


def test_the_chain_is_the_one_most_hosts_name() -> None:
    bundle = four().bundle()
    for entry in bundle["observations"]:
        if entry["host"] == "vh4":
            entry["data"]["rpc"]["status"]["data"].update(chain_id="other-9", power=10**15)
    assert chain_id.of_hosts(bundle["observations"]) == "virtengine-1"


def test_the_genesis_file_names_the_chain_of_a_silent_node() -> None:
    bundle = four(["stopped"] * 5).bundle()
    assert chain_id.of_hosts(bundle["observations"]) == "virtengine-1"
    assert chain_id.of_hosts([]) is None


def test_of_references_a_node_by_two_addresses_counts_once() -> None:
    bundle = four(references={url: {} for url in ("http://a:1", "http://b:1", "http://c:1")}).bundle()
    seen = [entry for entry in bundle["observations"] if entry["source"] == "cometbft_info" and entry["look"] == 1]
    for entry in seen[:2]:
        entry["data"]["status"]["data"].update(chain_id="other-9", node_id="ab" * 20)
    assert chain_id.of_references(seen) == "other-9", "of equally many nodes the first name"
    seen[0]["data"]["status"]["data"].update(chain_id="virtengine-1", node_id="cd" * 20)
    assert chain_id.of_references(seen) == "virtengine-1"
    assert chain_id.of_references([]) is None
