# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that is strict, and the stream that keeps only what is wanted."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import json as _rpc_json
from ansible_collections.virtengine.incident.plugins.module_utils._host.json import SCALAR, Items
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)
WANTED = {b"{": {"b": SCALAR}, b"[": Items(SCALAR)}
BROKEN = [
    b"",
    b" ",
    b"{",
    b"[1,",
    b'{"a"}',
    b'{"a":1,}',
    b'{"a":1}{"a":1}',
    b'"\x01"',
    b'"\\x"',
    b"nope",
    b"[1 2]",
    b"\xff",
    b"\xef\xbb\xbf{}",
    b"<html></html>",
    b"[" * 200000,
    b'{"a":' * 100000,
]


def pieces(body: bytes, size: int = 3) -> t.Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(PartError) as error:
        _rpc_json.loads(body)
    assert error.value.kind == "malformed"
    with pytest.raises(PartError) as error:
        _rpc_json.prune(pieces(body, 4096), WANTED.get(body[:1], SCALAR))
    assert error.value.kind == "malformed"


@pytest.mark.parametrize(
    "body", [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a":1,"a":2}', b'{"a": ' + b"9" * 100000 + b"}"]
)
def test_what_python_would_take_is_refused(body: bytes) -> None:
    with pytest.raises(PartError) as error:
        _rpc_json.loads(body)
    assert error.value.kind == "malformed"
    with pytest.raises(PartError) as error:
        _rpc_json.prune(pieces(body), {"a": SCALAR})
    assert error.value.kind == "malformed"


@given(VALUES, st.integers(1, 9))
def test_a_scalar_of_a_stream_is_what_the_tree_has(value: t.Any, size: int) -> None:
    body = json.dumps({"skip": value, "keep": value, "list": [value, value]}).encode()
    kept = _rpc_json.prune(pieces(body, size), {"keep": SCALAR, "list": Items(SCALAR)})
    scalar = _rpc_json.OTHER if isinstance(value, (list, dict)) else value
    assert kept == {"keep": scalar, "list": [scalar, scalar]}


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()[:-1]), st.integers(1, 5))
def test_no_bytes_raise_anything_but_the_one_error(body: bytes, size: int) -> None:
    for wanted in (SCALAR, {"a": SCALAR}, Items({"a": Items(SCALAR)})):
        try:
            _rpc_json.prune(pieces(body, size), wanted)
        except PartError as error:
            assert error.kind in ("malformed", "too_large")
    try:
        _rpc_json.loads(body)
    except PartError as error:
        assert error.kind == "malformed"


def test_null_is_told_from_a_value_of_another_kind() -> None:
    wanted = {"a": Items(SCALAR), "b": {"c": SCALAR}}
    assert _rpc_json.prune(pieces(b'{"a": null, "b": null}'), wanted) == {"a": None, "b": None}
    assert _rpc_json.prune(pieces(b'{"a": {}, "b": 7}'), wanted) == {"a": _rpc_json.OTHER, "b": _rpc_json.OTHER}


def test_the_first_and_the_last_items_are_kept() -> None:
    body = json.dumps(list(range(100))).encode()
    assert _rpc_json.prune(pieces(body), Items(SCALAR, first=1, last=3)) == [0, 97, 98, 99]
    assert _rpc_json.prune(pieces(b"[1, 2]"), Items(SCALAR, first=1, last=3)) == [1, 2]


def test_items_that_are_let_go_free_their_place() -> None:
    body = b"[" + b",".join([b'"' + b"x" * 10000 + b'"'] * 2000) + b"]"
    assert len(_rpc_json.prune(pieces(body, 65536), Items(SCALAR, first=1, last=3))) == 4


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'"' + b"x" * 20000 + b'"', SCALAR),
        (b"[" + b",".join([b"1"] * 10001) + b"]", Items(SCALAR)),
        (b"[" + b",".join([b'"' + b"x" * 9000 + b'"'] * 2000) + b"]", Items(SCALAR)),
    ],
)
def test_what_would_fill_the_memory_is_too_large(body: bytes, wanted: t.Any) -> None:
    with pytest.raises(PartError) as error:
        _rpc_json.prune(pieces(body, 65536), wanted)
    assert error.value.kind == "too_large"


def test_what_is_left_out_is_checked_for_brackets_and_quotes_only() -> None:
    assert _rpc_json.prune(pieces(b'{"x": [1 2], "keep": 7}'), {"keep": SCALAR}) == {"keep": 7}


def test_what_is_skipped_may_be_deep_and_hold_brackets_in_texts() -> None:
    body = b'{"x": ' + b"[" * 50000 + b"]" * 50000 + b', "y": {"z": "}]\\"{["}, "keep": 7}'
    assert _rpc_json.prune(pieces(body, 65536), {"keep": SCALAR}) == {"keep": 7}
