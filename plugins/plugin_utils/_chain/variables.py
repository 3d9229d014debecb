# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that are about a chain, whatever is the matter with it, and what evidence keeps of them."""

from __future__ import annotations

import re

from .._path.incident import Data, Misuse, Values
from .._path.text import clean

CHAIN_ID = "incident_chain_id"
ADDRESS = "incident_validator_address"
REFERENCES = "incident_reference_rpcs"

# How RPC endpoints outside of the inventory are asked.
REFERENCE_VARIABLES = frozenset(
    {
        REFERENCES,
        "incident_reference_ca_path",
        "incident_reference_deadline",
        "incident_reference_discover",
        "incident_reference_validate_certs",
    }
)
# Where a node has its parts; a host says so where they are not in the usual places.
NODE_VARIABLES = frozenset(
    {
        "incident_node_binary",
        "incident_node_home",
        "incident_node_rpc",
        "incident_node_unit",
        ADDRESS,
    }
)

MAX_CHAIN_ID = 100  # CometBFT allows 50 (types/genesis.go: MaxChainIDLen)

_ADDRESS = re.compile(r"[0-9A-F]{40}")


def chain_id(values: Values) -> Data:
    """The chain id that a person declares, which wins over what any node shows; nothing where none is declared."""
    name = values.get(CHAIN_ID)
    if name is None:
        return {}
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name or name != clean(name, MAX_CHAIN_ID):
        raise Misuse(
            f"{CHAIN_ID} {clean(name, 60)!r} is no text of one line, 1 to {MAX_CHAIN_ID} characters. Give the chain id as "
            "the genesis file has it, or leave it out."
        )
    return {CHAIN_ID: name}


def declared(host: str, values: Values) -> Data:
    """The consensus address that a host of the inventory declares; nothing where it declares none."""
    given = values.get(ADDRESS)
    if given is None:
        return {}
    address = str(given).strip().upper()
    if not _ADDRESS.fullmatch(address):
        raise Misuse(
            f"{ADDRESS} of {clean(host, 60)} is not a consensus address (40 hex digits). 'virtengine status' on that host "
            "shows it as validator_info.address."
        )
    return {ADDRESS: address}


def endpoints(values: Values) -> Data:
    """The RPC endpoints to ask, of which there must be one at least: a text parts them by commas."""
    given = values.get(REFERENCES)
    named = given.split(",") if isinstance(given, str) else given
    urls = [url.strip() for url in named if isinstance(url, str)] if isinstance(named, list) else []
    if not any(urls):
        raise Misuse(f"{REFERENCES} is empty. Name one RPC endpoint or more: -e {REFERENCES}=URL,URL.")
    return {REFERENCES: [url for url in urls if url]}
