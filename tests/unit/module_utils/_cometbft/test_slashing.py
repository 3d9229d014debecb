# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is jailed: protobuf and bech32 of strangers, and pages of them."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc, slashing
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft.fields import nanoseconds
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.module_utils._cometbft import slashing as s
from tests.unit.module_utils._cometbft.server import Answer, Server, halted, http, result

ASKED = "/abci_query?path=%22/cosmos.slashing.v1beta1.Query/SigningInfos%22&data=0x0a0518d00f2001"
JAILED_ROW = {
    "address": s.VALIDATORS[s.JAILED],
    "until": "2026-11-24T19:49:03.373285134Z",
    "tombstoned": False,
    "missed": 12,
}
NEWEST = s.BLOCK_S * 10**9 + s.BLOCK_NS


def jailed(answer: Answer, **more: Answer) -> dict[str, t.Any]:
    with Server({**halted(), "/abci_query": answer, **more}) as server:
        found = rpc.gather(server.url, 5, parts=["jailed"])
    return t.cast("dict[str, t.Any]", found["jailed"])


def answered(*fields: s.Field) -> dict[str, t.Any]:
    return jailed(result(s.response(s.message(*fields))))


def kind(part: dict[str, t.Any]) -> str:
    assert not part["ok"], part
    return str(part["error"]["kind"])


def read(value: bytes, newest: int = NEWEST) -> dict[str, t.Any]:
    """The part of one answer, without a server."""
    return slashing.jailed(slashing.read(lambda _query, shape: shape(s.response(value))), newest)


def test_the_jailed_and_the_tombstoned_are_shown() -> None:
    with Server(halted()) as server:
        found = rpc.gather(server.url, 5, parts=["jailed"])
        assert sorted(server.asked) == [ASKED, "/status"]
    assert found["jailed"]["data"] == {
        "total": 4,
        "jailed": [
            JAILED_ROW,
            {
                "address": s.VALIDATORS[s.TOMBSTONED],
                "until": "9999-12-31T23:59:59Z",
                "tombstoned": True,
                "missed": 0,
            },
        ],
        "truncated": False,
    }


def test_a_jailing_ends_with_the_nanosecond_the_chain_stands_at() -> None:
    value = s.message(s.info(s.JAILED, s.time(s.BLOCK_S, s.BLOCK_NS)))
    assert read(value, NEWEST)["jailed"] == []
    assert len(read(value, NEWEST - 1)["jailed"]) == 1


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (s.time(1, 0), "1970-01-01T00:00:01Z"),
        (s.time(0, 120), "1970-01-01T00:00:00.00000012Z"),
        (s.time(-1, 500_000_000), "1969-12-31T23:59:59.5Z"),
        (s.time(-62135596800), "0001-01-01T00:00:00Z"),
        (b"", "1970-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_as_go_writes_it(at: bytes, text: str) -> None:
    found = read(s.message(s.info(s.JAILED, at, tombstoned=True)))["jailed"][0]["until"]
    assert found == text and nanoseconds(found) is not None


def test_nobody_ever_signed() -> None:
    assert answered(s.paging())["data"] == {"total": 0, "jailed": [], "truncated": False}


def test_without_the_module_it_is_the_error_of_the_application() -> None:
    said = "unknown query path: unknown request\x1b[2J"
    found = jailed(result(s.response(b"", code=6, codespace="sdk", log=said)))
    assert kind(found) == "rpc"
    assert (
        "sdk 6: unknown query path: unknown request" in found["error"]["text"] and "\x1b" not in found["error"]["text"]
    )


@pytest.mark.parametrize("gone", [None, ""])
def test_an_application_that_says_nothing_has_nothing(gone: t.Any) -> None:
    assert kind(jailed(result({"response": {"code": 0, "value": gone}}))) == "absent"


def test_what_is_zero_may_be_left_out() -> None:
    shown = s.response(s.four())["response"]
    assert jailed(result({"response": {"value": shown["value"]}}))["data"]["total"] == 4


def test_without_the_time_of_the_chain_nobody_can_be_told_jailed() -> None:
    found = jailed(result(s.response(s.four())), **{"/status": http(b"no", "500 Error")})
    assert kind(found) == "http" and "status" in found["error"]["text"]


# -- rows without an address (cosmos/cosmos-sdk#11598) ----------------------------------------------------------------


def test_a_row_without_an_address_counts_and_hides_nobody_else() -> None:
    found = read(s.message(s.info(""), s.info(s.JAILED, s.time(s.NEVER_S))))
    assert found["total"] == 2 and len(found["jailed"]) == 1 and found["truncated"] is False


def test_a_jailed_row_without_an_address_is_left_out_and_that_is_told() -> None:
    found = read(s.message(s.info("", s.time(s.NEVER_S)), s.info(s.JAILED, s.time(s.NEVER_S))))
    assert len(found["jailed"]) == 1 and found["truncated"] is True


# -- pages --------------------------------------------------------------------------------------------------------------


class Book:
    """An application with so many signing infos, all jailed, that gives at most ``most`` in one answer."""

    def __init__(self, size: int, most: int = 10**6) -> None:
        self.size = size
        self.most = most
        self.asked = 0

    def ask(self, query: str, shape: t.Callable[[t.Any], t.Any]) -> t.Any:
        self.asked += 1
        asked = fields_of(bytes.fromhex(parse_qs(urlsplit(query).query)["data"][0][2:]))
        request = fields_of(t.cast(bytes, asked[1]))
        start = int.from_bytes(t.cast(bytes, request.get(1, b"")), "big")
        end = min(self.size, start + min(t.cast(int, request[3]), self.most))
        rows = [s.info("", s.time(s.NEVER_S)) for _number in range(start, end)]
        key = end.to_bytes(21, "big") if end < self.size else b""
        return shape(s.response(s.message(*rows, s.paging(key, self.size if 4 in request else 0))))


def fields_of(data: bytes) -> dict[int, int | bytes]:
    """The fields of what was asked: numbers and what has a length, each once."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        number, wire = data[at] >> 3, data[at] & 7
        value, at = number_at(data, at + 1)
        found[number] = data[at : at + value] if wire == 2 else value
        at += value if wire == 2 else 0
    return found


def number_at(data: bytes, at: int) -> tuple[int, int]:
    end = next(place for place in range(at, len(data)) if data[place] < 128) + 1
    return sum((byte & 127) << 7 * place for place, byte in enumerate(data[at:end])), end


@pytest.mark.parametrize(
    ("size", "most", "asked", "rows"),
    [
        (0, 10**6, 1, 0),
        (100, 10**6, 1, 100),
        (2000, 10**6, 1, 2000),
        (2001, 10**6, 1, 2000),
        (100, 100, 1, 100),
        (101, 100, 2, 101),
        (2000, 100, 20, 2000),
        (2050, 100, 20, 2000),
        (400, 10, 20, 200),
    ],
)
def test_pages_up_to_the_cap(size: int, most: int, asked: int, rows: int) -> None:
    book = Book(size, most)
    found = slashing.read(book.ask)
    assert (book.asked, len(found.rows), found.total) == (asked, rows, size)
    assert bool(found.next_key) is (rows < size)
    assert slashing.jailed(found, NEWEST)["total"] == size


def test_pages_over_the_network() -> None:
    first = s.message(s.info(s.JAILED, s.time(s.NEVER_S)), s.paging(b"\x14" + b"\x01" * 20, 2))
    second = ASKED.replace("0a0518d00f2001", "0a1a0a15" + "14" + "01" * 20 + "18cf0f")
    rest = s.message(s.info(s.FREE, s.time(s.NEVER_S)), s.paging())
    with Server(halted()) as server:
        server.routes[ASKED] = result(s.response(first))
        server.routes[second] = result(s.response(rest))
        server.routes["/abci_query"] = http(b"no", "500 Error")
        found = rpc.gather(server.url, 5, parts=["jailed"])["jailed"]
    assert [row["address"] for row in found["data"]["jailed"]] == [s.VALIDATORS[s.JAILED], s.VALIDATORS[s.FREE]]
    assert found["data"]["total"] == 2 and found["data"]["truncated"] is False


def test_a_number_that_is_not_told_is_not_invented() -> None:
    rows = [s.info("")] * 2000
    found = read(s.message(*rows, s.paging(b"more")))
    assert found["total"] is None and found["truncated"] is True


@pytest.mark.parametrize(
    "fields",
    [
        [s.info("")] * 2001,
        [s.paging(b"more", 9)],
        [*[s.info("")] * 2000, s.paging(b"more", 2000)],
        [s.paging(b"x" * 257, 9)],
        [s.paging(b"", 2**63)],
        [s.paging(), s.paging()],
    ],
)
def test_a_page_that_cannot_be_is_malformed(fields: list[s.Field]) -> None:
    assert kind(answered(*fields)) == "malformed"


def test_a_page_that_leads_to_itself_comes_to_an_end() -> None:
    value = s.message(s.info(""), s.paging(b"more", 900))
    with Server({**halted(), "/abci_query": result(s.response(value))}) as server:
        found = rpc.gather(server.url, 5, parts=["jailed"])["jailed"]
        assert len(server.asked) == 21
    assert found["data"]["truncated"] is True


# -- protobuf -----------------------------------------------------------------------------------------------------------


RUBBISH = {
    "text": b"does not exist",
    "zeros": bytes(40),
    "high bytes": b"\xff" * 40,
    "cut off": s.four()[:-3],
    "cut off in a number": b"\x80",
    "a length beyond the end": b"\x0a\x7f\x00",
    "a length of 64 bits": b"\x0a" + b"\xff" * 9 + b"\x01",
    "a number of 65 bits": b"\x18" + b"\xff" * 9 + b"\x02",
    "a number without an end": b"\x18" + b"\x80" * 20,
    "a number longer than it needs": b"\x0a\x80\x00",
    "field 0": b"\x02\x00",
    "a group": b"\x0b\x0c",
    "kind 7": b"\x1f\x00",
    "a fixed number that is cut off": b"\x19\x00",
    "an info that is a number": b"\x08\x01",
    "an address that is a number": s.message((1, s.message((1, 7)))),
    "an address twice": s.message((1, s.message((1, b"a"), (1, b"a")))),
    "a time that is a number": s.message((1, s.message((4, 7)))),
    "a time of rubbish": s.message((1, s.message((4, b"\xff")))),
    "a time after 9999": s.message(s.info("", s.time(s.NEVER_S + 1))),
    "a time before 1": s.message(s.info("", s.time(-62135596801))),
    "a second of too many parts": s.message(s.info("", s.time(1, 10**9))),
    "a second of negative parts": s.message(s.info("", s.time(1, -1))),
    "tombstoned twice over": s.message((1, s.message((5, 2)))),
    "missed less than none": s.message((1, s.message((6, -1)))),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_malformed(name: str) -> None:
    assert kind(jailed(result(s.response(RUBBISH[name])))) == "malformed"


def test_fields_of_later_versions_are_passed_over() -> None:
    later = s.message((9, b"new"), (10, 2**63)) + b"\x59" + bytes(8) + b"\x65" + bytes(4)
    row = s.message((1, s.JAILED.encode()), (4, s.time(s.NEVER_S) + later)) + later
    assert len(read(s.message((1, row), (2, later)) + later)["jailed"]) == 1


@pytest.mark.parametrize("value", ["no base64", "A", "====", "\u00e9", 7, [], {}, True])
def test_a_value_that_is_no_base64_is_malformed(value: t.Any) -> None:
    assert kind(jailed(result({"response": {"code": 0, "value": value}}))) == "malformed"


@pytest.mark.parametrize("code", [-1, 2**32, "x", True, 1.5])
def test_a_code_that_cannot_be_is_malformed(code: t.Any) -> None:
    assert kind(jailed(result(s.response(s.four(), code=code)))) == "malformed"


@pytest.mark.parametrize(
    "value", [b"\x7a\x00" * 240_000, b"\x0a\x00" * 240_000, b"\x0a" + s.varint(400_000) + bytes(400_000)]
)
def test_the_largest_answers_that_are_read(value: bytes) -> None:
    found = jailed(result(s.response(value)))
    assert found["ok"] or kind(found) == "malformed"


def test_a_larger_answer_is_too_large() -> None:
    assert kind(jailed(result(s.response(bytes(10**6))))) == "too_large"


def test_html_is_malformed() -> None:
    assert kind(jailed(http(b"<html>hello</html>", kind="text/html"))) == "malformed"


@given(value=st.binary(max_size=80))
def test_no_bytes_raise_anything_else(value: bytes) -> None:
    whatever(value)


@given(data=st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    value = bytearray(s.four())
    for _change in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        end = data.draw(st.sampled_from([at, at + 1, at + 2]))
        value[at:end] = data.draw(st.binary(max_size=3))
    whatever(bytes(value))


def whatever(value: bytes) -> None:
    """The part is of the contract's shape, or one of its errors."""
    try:
        found = read(value)
    except PartError as error:
        assert error.kind in ("malformed", "absent") and len(error.text) < 300
        return
    assert isinstance(found["total"], int) and found["total"] >= len(found["jailed"])
    for row in found["jailed"]:
        assert re.fullmatch("[0-9A-F]{40}", row["address"]) and nanoseconds(row["until"]) is not None
        assert isinstance(row["tombstoned"], bool) and row["missed"] >= 0


# -- addresses (what is one: test_bech32.py) -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", [s.JAILED.replace("e6mh", "e6mm"), s.JAILED + "q", "v" * 1000 + s.JAILED])
def test_an_address_that_is_none_is_malformed(text: str) -> None:
    assert kind(answered(s.info(text, s.time(s.NEVER_S)))) == "malformed"


def test_an_address_that_is_not_shown_is_not_looked_at() -> None:
    assert answered(s.info("no address"), s.info(s.JAILED, s.time(s.NEVER_S)))["ok"]


def test_an_address_twice_is_malformed() -> None:
    row = s.info(s.JAILED, s.time(s.NEVER_S))
    assert kind(answered(row, row)) == "malformed"
