# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a consensus address in bech32, and what is none."""

from __future__ import annotations

import re

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import slashing
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.module_utils._cometbft import slashing as s


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *s.VALIDATORS.items(),
        # Of the Cosmos Hub, as an issue quotes it (cosmos/gaia#1344).
        ("cosmosvalcons1qrxwan7srvknxwsm264l0nlc56uw6fd3mq0s7v", None),
    ],
)
def test_addresses_of_real_chains(text: str, address: str | None) -> None:
    found = slashing.consensus_address(text.encode())
    assert re.fullmatch("[0-9A-F]{40}", found) and address in (None, found)


def encode(prefix: str, values: list[int], constant: int = 1) -> str:
    """Bech32 as BIP 173 describes it, written a second time."""
    rest = 1
    for value in [*(ord(x) >> 5 for x in prefix), 0, *(ord(x) & 31 for x in prefix), *values, 0, 0, 0, 0, 0, 0]:
        top, rest = rest >> 25, (rest & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            rest ^= term * (top >> bit & 1)
    rest ^= constant
    both = [*values, *((rest >> 5 * place) & 31 for place in range(5, -1, -1))]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[value] for value in both)


@given(
    prefix=st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        min_size=1,
        max_size=51,
    ),
    number=st.integers(0, 2**160 - 1),
)
def test_any_prefix_and_address(prefix: str, number: int) -> None:
    text = encode(prefix, [(number >> 5 * place) & 31 for place in range(31, -1, -1)])
    assert slashing.consensus_address(text.encode()) == f"{number:040X}"


ZEROS = [0] * 32
NO_ADDRESS = {
    "nothing": "",
    "one character changed": s.JAILED.replace("e6mh", "e6mm"),
    "two characters changed places": s.JAILED.replace("e6", "6e"),
    "another prefix": s.JAILED.replace("ve", "vf"),
    "bech32m": encode("vevalcons", ZEROS, 0x2BC830A3),
    "upper case": s.JAILED.upper(),
    "mixed case": s.JAILED.replace("e6", "E6"),
    "no prefix": encode("", ZEROS),
    "no separator": s.JAILED.replace("1", ""),
    "a character that is none": s.JAILED.replace("e6", "eb"),
    "19 bytes": encode("vevalcons", [0] * 31),
    "21 bytes": encode("vevalcons", [0] * 34),
    "32 bytes": encode("vevalcons", [0] * 52),
    "91 characters": encode("v" * 52, ZEROS),
    "a kilobyte": "v" * 1000 + s.JAILED,
    "a space": encode("ve val", ZEROS),
    "a line": s.JAILED + "\n",
    "a terminal's word": encode("v\x1b", ZEROS),
    "another digit": s.JAILED.replace("4", "\u0664"),
    "a byte above 126": s.JAILED + "\u00ff",
}


@pytest.mark.parametrize("name", NO_ADDRESS)
def test_an_address_that_is_none_is_malformed(name: str) -> None:
    with pytest.raises(PartError) as error:
        slashing.consensus_address(NO_ADDRESS[name].encode())
    assert error.value.kind == "malformed"
    if name != "nothing":
        row = s.message(s.info(NO_ADDRESS[name], s.time(s.NEVER_S)))
        with pytest.raises(PartError) as error:
            slashing.jailed(slashing.read(lambda _query, shape: shape(s.response(row))), 0)
        assert error.value.kind == "malformed"


def test_no_single_change_is_taken() -> None:
    for at, sign in enumerate(s.JAILED):
        for other in "qpzry9x8gf2tvdw0s3jn54khce6mua7l1":
            if other != sign:
                with pytest.raises(PartError):
                    slashing.consensus_address((s.JAILED[:at] + other + s.JAILED[at + 1 :]).encode())
