# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is jailed, out of the slashing module of a Cosmos SDK application. PRIVATE to the collection.

The question goes through ``/abci_query``. The application answers it from its committed state, in a halt, too. Question
and answer are protobuf (Cosmos SDK, proto/cosmos/slashing/v1beta1 and proto/cosmos/base/query/v1beta1).

The answer is not trusted: the decoder here knows the fields it reads, passes over others, and refuses whatever Go's
encoder never writes (a field twice, a number in more bytes than it needs, groups).
"""

from __future__ import annotations

import datetime
import functools
import re
import typing as t
from dataclasses import dataclass

from .._host.parts import PartError
from .fields import INT64, Obj, wrong

CAP = 2000  # signing infos that are read; as protobuf in base64 they take some 240 kB
# An application that gives its default of 100 for a page, whatever is asked for (types/query/pagination.go), fills the
# cap with so many. One that gives less does not get more questions.
_PAGES = 20
_PATH = "/cosmos.slashing.v1beta1.Query/SigningInfos"
_KEY_CAP = 256  # bytes; the key of a row is an address with its length

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
# Field numbers with their wire types.
_RESPONSE = {1: _BYTES, 2: _BYTES}
_PAGE_RESPONSE = {1: _BYTES, 2: _VARINT}
_INFO = {1: _BYTES, 4: _BYTES, 5: _VARINT, 6: _VARINT}
_TIMESTAMP = {1: _VARINT, 2: _VARINT}
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799  # of the years 1 to 9999 (google/protobuf/timestamp.proto)
_EPOCH = datetime.datetime(1970, 1, 1)

# 20 bytes are 32 characters of five bits each, without a rest; six more are the checksum (BIP 173).
_BECH32 = re.compile(r"([\x21-\x40\x5b-\x7e]{1,51})1([02-9ac-hj-np-z]{38})")
_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_CHARACTERS)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)

Ask = t.Callable[[str, t.Callable[[t.Any], t.Any]], t.Any]
Value = t.Union[int, bytes]


@dataclass(frozen=True)
class Info:
    """One signing info. ``address`` is empty where the chain does not keep it; ``until``: nanoseconds since 1970."""

    address: bytes
    until: int
    tombstoned: bool
    missed: int


@dataclass(frozen=True)
class Page:
    """One answer. ``next_key`` is empty on the last page; ``total`` is 0 where it is not told."""

    rows: list[Info]
    next_key: bytes
    total: int


def read(ask: Ask) -> Page:
    """All signing infos, or the first CAP of them: then there is a ``next_key``.

    ask: takes what to GET and what shapes its result. Raises what it raises, and PartError: rpc where the application
    answers with an error (it has no slashing module), absent where it answers nothing, malformed.
    """
    rows: list[Info] = []
    key, total = b"", 0
    for number in range(_PAGES):
        left = CAP - len(rows)
        answer = ask(query(key, left), functools.partial(page, at_most=left))
        rows.extend(answer.rows)
        # The whole number comes with the first page alone.
        total = answer.total if number == 0 else total
        key = answer.next_key
        if not key or len(rows) >= CAP:
            break
        if not answer.rows:
            raise wrong("the page of signing infos", "is empty and says that there are more")
    if not key:
        total = len(rows)
    elif total and total <= len(rows):
        raise wrong("the number of signing infos", "is less than the infos that came")
    return Page(rows, key, total)


def jailed(infos: Page, newest: int) -> dict[str, t.Any]:
    """The contract's ``jailed``: who is tombstoned, or jailed until after ``newest`` (nanoseconds since 1970).

    Addresses of the others are not looked at. Raises PartError (malformed) for an address that is none.
    """
    rows = [info for info in infos.rows if info.tombstoned or info.until > newest]
    # Chains that are older than the field have infos without it, such as the Cosmos Hub (cosmos/cosmos-sdk#11598).
    named = [info for info in rows if info.address]
    shown = [
        {
            "address": consensus_address(info.address),
            "until": _time(info.until),
            "tombstoned": info.tombstoned,
            "missed": info.missed,
        }
        for info in named
    ]
    if len({row["address"] for row in shown}) != len(shown):
        raise wrong("the list of signing infos", "names an address twice")
    return {
        "total": None if infos.next_key and not infos.total else infos.total,
        "jailed": shown,
        "truncated": bool(infos.next_key) or len(named) != len(rows),
    }


def query(key: bytes, limit: int) -> str:
    """The path and arguments of a question for ``limit`` infos from ``key`` on, and for the whole number."""
    asked = b"\x18" + _number(limit)
    asked = b"\x0a" + _number(len(key)) + key + asked if key else asked + b"\x20\x01"
    request = b"\x0a" + _number(len(asked)) + asked
    return f"/abci_query?path=%22{_PATH}%22&data=0x{request.hex()}"


def page(result: t.Any, at_most: int) -> Page:
    """One page out of the result of ``/abci_query``. Raises PartError: rpc, absent or malformed."""
    response = Obj(result, "result").inner("response")
    code = response.integer("code", default=0, high=2**32 - 1)
    if code:
        message = f"{response.text('codespace', 40)} {code}: {response.text('log', 150)}".strip()
        raise PartError("rpc", f"the application answers the question for signing infos with error {message}")
    value = bytes.fromhex(response.base64_hex("value")) if response.has("value") else b""
    if not value:
        raise PartError("absent", "the application answers nothing; has it no slashing module of the Cosmos SDK?")
    rows: list[Info] = []
    tail: dict[int, t.Any] = {}
    for number, inner in _fields(value, _RESPONSE):
        if number == 1:
            if len(rows) >= at_most:
                raise wrong("the page of signing infos", f"holds more than the {at_most} that were asked for")
            rows.append(_info(t.cast(bytes, inner)))
        elif tail:
            raise wrong("the page of signing infos", "says twice what follows it")
        else:
            tail = {1: b"", 2: 0, **_once(t.cast(bytes, inner), _PAGE_RESPONSE)}
    next_key, total = tail.get(1, b""), tail.get(2, 0)
    if len(next_key) > _KEY_CAP or total > INT64:
        raise wrong("the page of signing infos", "has a key or a number that is too large")
    return Page(rows, next_key, total)


def consensus_address(text: bytes) -> str:
    """A consensus address in bech32, of any chain's prefix, as 40 upper-case hex digits. Raises PartError (malformed).

    Lower case alone, as the Cosmos SDK writes it. 90 characters at most (BIP 173).
    """
    # Latin-1 takes every byte, and the pattern none above 126.
    match = _BECH32.fullmatch(text.decode("latin-1"))
    if not match:
        raise wrong("the address in a signing info", "is not bech32 of 20 bytes")
    prefix, values = match.group(1), [_VALUES[character] for character in match.group(2)]
    expanded = [*(ord(sign) >> 5 for sign in prefix), 0, *(ord(sign) & 31 for sign in prefix)]
    if _checksum([*expanded, *values]) != 1:
        raise wrong("the address in a signing info", "has a wrong checksum")
    number = functools.reduce(lambda before, value: before << 5 | value, values[:32], 0)
    return f"{number:040X}"


def _checksum(values: t.Iterable[int]) -> int:
    """The remainder that is 1 for a good text (BIP 173)."""
    rest = 1
    for value in values:
        top = rest >> 25
        rest = (rest & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            if top >> bit & 1:
                rest ^= term
    return rest


def _info(data: bytes) -> Info:
    fields = _once(data, _INFO)
    missed = _signed(fields.get(6, 0))
    if fields.get(5, 0) > 1 or missed < 0:
        raise wrong("a signing info", "has a value out of its range")
    return Info(fields.get(1, b""), _nanoseconds(fields.get(4, b"")), fields.get(5, 0) == 1, missed)


def _nanoseconds(data: bytes) -> int:
    fields = _once(data, _TIMESTAMP)
    seconds, rest = _signed(fields.get(1, 0)), _signed(fields.get(2, 0))
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND or not 0 <= rest < 10**9:
        raise wrong("the time in a signing info", "is out of range")
    return seconds * 10**9 + rest


def _time(nanoseconds: int) -> str:
    """RFC 3339 in UTC, with as many digits of a second as are needed, as Go writes it."""
    seconds, rest = divmod(nanoseconds, 10**9)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return moment.isoformat() + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


def _once(data: bytes, kinds: t.Mapping[int, int]) -> dict[int, t.Any]:
    """The fields of a message in which none is repeated."""
    fields: dict[int, t.Any] = {}
    for number, value in _fields(data, kinds):
        if number in fields:
            raise _rubbish("a field comes twice")
        fields[number] = value
    return fields


def _fields(data: bytes, kinds: t.Mapping[int, int]) -> t.Iterator[tuple[int, Value]]:
    """The fields of a message that are in ``kinds``, each of which must be of the wire type there."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        value: Value = b""
        if kind == _VARINT:
            value, at = _varint(data, at)
        elif kind == _BYTES:
            size, start = _varint(data, at)
            at = start + size
            value = data[start:at]
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise _rubbish("a field is of a kind that is not known")
        if at > len(data):
            raise _rubbish("it is cut off")
        if not 0 < number < 2**29 or kinds.get(number, kind) != kind:
            raise _rubbish("a field is of another kind")
        if number in kinds:
            yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of at most 64 bits, and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            if value >= 2**64 or (byte == 0 and index):
                raise _rubbish("a number is too large, or longer than it needs to be")
            return value, at + index + 1
    raise _rubbish("a number has no end")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _number(value: int) -> bytes:
    """A number as protobuf writes it."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def _rubbish(what: str) -> PartError:
    return wrong("the answer of the application", f"is not the protobuf it must be: {what}")
