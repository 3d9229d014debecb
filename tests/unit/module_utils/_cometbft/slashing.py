# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers to the question for signing infos, written byte by byte as the Cosmos SDK writes them."""

from __future__ import annotations

import base64
import typing as t

Field = tuple[int, t.Union[int, bytes]]

# What the REST of a real node said of its four validators, the third one jailed, and their addresses in its /validators.
VALIDATORS = {
    "vevalcons14e6mhxwc3jan30stzesqtnusl549k8u4up924j": "AE75BB99D88CBB38BE0B166005CF90FD2A5B1F95",
    "vevalcons1uzh6l4h0ac06pyt46x88l6zu67tcnnkj64hsdx": "E0AFAFD6EFEE1FA09175D18E7FE85CD79789CED2",
    "vevalcons102puumsk8mg8slnrclyc4gzuygey9p6mkv8wrc": "7A83CE6E163ED0787E63C7C98AA05C223242875B",
    "vevalcons1rz56j45t2pcfzkx8g9v3tan44h4l80pgdpyur9": "18A9A9568B50709158C7415915F675ADEBF3BC28",
}
JAILED, TOMBSTONED, FREE, THIRD = VALIDATORS
# Around the newest block of the directory ``halted``, 2026-11-24T19:49:03.373285133Z.
BLOCK_S, BLOCK_NS = 1795549743, 373285133
NEVER_S = 253402300799


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; a negative number as 64 bits."""
    value &= 2**64 - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def message(*fields: Field) -> bytes:
    """A message of numbers and of what has a length."""
    found = b""
    for number, value in fields:
        if isinstance(value, int):
            found += varint(number << 3) + varint(value)
        else:
            found += varint(number << 3 | 2) + varint(len(value)) + value
    return found


def time(seconds: int, nanoseconds: int = 0) -> bytes:
    """A Timestamp: what is zero is left out."""
    return message(*((number, value) for number, value in ((1, seconds), (2, nanoseconds)) if value))


def info(address: str, until: bytes = b"", tombstoned: bool = False, missed: int = 0) -> Field:
    """A row of the answer."""
    rest: list[Field] = [(2, 70), (3, 338), (4, until)]
    rest += [(5, 1)] if tombstoned else []
    rest += [(6, missed)] if missed else []
    return 1, message(*([(1, address.encode())] if address else []), *rest)


def paging(next_key: bytes = b"", total: int = 0) -> Field:
    """What follows the page, empty where it is the last one and the number was not asked for."""
    found: list[Field] = [(1, next_key)] if next_key else []
    return 2, message(*found, *([(2, total)] if total else []))


def response(value: bytes, **change: t.Any) -> dict[str, t.Any]:
    """The result of /abci_query."""
    encoded = base64.b64encode(value).decode() or None
    shown = {"code": 0, "log": "", "info": "", "index": "0", "key": None, "value": encoded, "proofOps": None}
    return {"response": {**shown, "height": "340", "codespace": "", **change}}


def four() -> bytes:
    """Four validators: one jailed, one tombstoned, one whose time is over, one that never was jailed."""
    return message(
        info(JAILED, time(BLOCK_S, BLOCK_NS + 1), missed=12),
        info(TOMBSTONED, time(NEVER_S), tombstoned=True),
        info(FREE, time(BLOCK_S, BLOCK_NS), missed=3),
        info(THIRD),
        paging(total=4),
    )
