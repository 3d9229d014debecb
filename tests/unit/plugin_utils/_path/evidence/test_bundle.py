# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: what is refused and how, what becomes an observation, and text made safe."""

from __future__ import annotations

import copy
import typing as t
import unicodedata

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path import text as _text
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import at, four

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def changed(path: tuple[t.Any, ...], value: t.Any) -> dict[str, t.Any]:
    bundle = copy.deepcopy(four().bundle())
    place: t.Any = bundle
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return bundle


def deep(levels: int) -> dict[str, t.Any]:
    value: dict[str, t.Any] = {}
    for _level in range(levels):
        value = {"a": value}
    return value


def test_a_bundle_passes_unchanged() -> None:
    bundle = four().bundle()
    assert _bundle.check(bundle) is bundle


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("schema",), "virtengine.incident.evidence/2", "schema"),
        (("incident",), "Chain Halt!", "incident"),
        (("incident",), 7, "incident"),
        (("chain_id",), 7, "chain_id"),
        (("taken_at",), "yesterday", "taken_at"),
        (("taken_at",), None, "taken_at"),
        (("min_seconds_between_looks",), 0, "min_seconds_between_looks"),
        (("min_seconds_between_looks",), float("nan"), "min_seconds_between_looks"),
        (("min_seconds_between_looks",), True, "min_seconds_between_looks"),
        (("inventory",), [], "inventory"),
        (("inventory", "vh1"), None, "inventory of vh1"),
        (("inventory", "vh1", "address"), "abc", "inventory of vh1"),
        (("inventory", "vh1", "address"), "a" * 40, "inventory of vh1"),
        (("inventory", "vh1", "target"), "yes", "inventory of vh1"),
        (("inventory", "vh1", "groups"), "validators", "inventory of vh1"),
        (("inventory", ""), {}, "inventory"),
        (("observations",), {}, "observations"),
        (("observations", 0), "x", "observation 1"),
        (("observations", 1, "source"), "rumour", "observation 2"),
        (("observations", 1, "host"), "stranger", "observation 2"),
        (("observations", 1, "look"), 0, "observation 2"),
        (("observations", 1, "look"), "1", "observation 2"),
        (("observations", 1, "look"), True, "observation 2"),
        (("observations", 1, "at"), "2026-13-01T00:00:00Z", "observation 2"),
        (("observations", 1, "ok"), 1, "observation 2"),
        (("observations", 1, "data"), [], "observation 2, data"),
        (("observations", 1, "data"), deep(60), "observation 2, data"),
        (("observations", 1, "data"), {"a": [0] * 500000}, "observation 2, data"),
        (("observations", 1, "ok"), False, "observation 2, error"),
        (("observations", 1, "host"), "vh1", "observation 2"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path: tuple[t.Any, ...], value: t.Any, where: str) -> None:
    with pytest.raises(_bundle.BadEvidence) as caught:
        _bundle.check(changed(path, value))
    assert caught.value.where == where
    assert str(caught.value).isprintable()


@given(JSON)
def test_any_json_is_a_bundle_or_a_clear_refusal(value: t.Any) -> None:
    with pytest.raises(_bundle.BadEvidence):
        _bundle.check(value)


@given(JSON)
def test_what_a_host_sends_never_stops_the_run(answer: t.Any) -> None:
    head = {"source": "node_evidence", "host": "vh1", "look": 3, "at": at(300)}
    bundle = _bundle.add(four().bundle(), dict(head, ok=True, data=answer))
    added = bundle["observations"][-1]
    assert added["ok"] is isinstance(answer, dict)
    assert _bundle.check(bundle)


def test_a_huge_answer_becomes_an_observation() -> None:
    head = {"source": "node_evidence", "host": "vh1", "look": 3, "at": at(300)}
    for answer in (deep(100), {"a": [[0] * 1000] * 1000}):
        added = _bundle.add(four().bundle(), dict(head, ok=True, data=answer))["observations"][-1]
        assert added["ok"] is False
        assert added["error"]["kind"] == "malformed"


def test_one_observation_takes_the_place_of_the_same() -> None:
    bundle = four().bundle()
    newer = dict(bundle["observations"][0], ok=False, error={"kind": "late", "text": "no answer"})
    added = _bundle.add(bundle, newer)
    assert len(added["observations"]) == len(bundle["observations"])
    assert added["observations"][-1] == newer


def test_a_wrong_head_is_the_callers_mistake() -> None:
    with pytest.raises(_bundle.BadEvidence, match="not in the inventory"):
        _bundle.add(
            four().bundle(), {"source": "node_evidence", "host": "x", "look": 1, "at": at(0), "ok": True, "data": {}}
        )


def test_the_chain_is_the_one_most_hosts_name() -> None:
    bundle = four().bundle()
    for entry in bundle["observations"]:
        if entry["host"] == "vh4":
            entry["data"]["rpc"]["status"]["data"].update(chain_id="other-9", power=10**15)
    assert _bundle.chain_id(bundle["observations"]) == "virtengine-1"


def test_the_genesis_file_names_the_chain_of_a_silent_node() -> None:
    bundle = four(["stopped"] * 5).bundle()
    assert _bundle.chain_id(bundle["observations"]) == "virtengine-1"
    assert _bundle.chain_id([]) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1971-01-01T00:00:00Z", 31536000.0),
        ("2026-01-30T12:00:00.123456789Z", 1769774400.123456),
        ("2026-01-30T14:00:00+02:00", 1769774400.0),
        ("0001-01-01T00:00:00Z", None),
        ("2026-01-30 12:00:00", None),
        ("2026-02-30T12:00:00Z", None),
        ("", None),
        (None, None),
        (1769774400, None),
    ],
)
def test_times(text: t.Any, seconds: float | None) -> None:
    assert _bundle.seconds(text) == (None if seconds is None else pytest.approx(seconds, abs=1e-5))


def test_stamps() -> None:
    assert _bundle.stamp(1769774400.9) == "2026-01-30T12:00:00Z"
    for nothing in (None, float("nan"), float("inf"), -5.0, 1e30):
        assert _bundle.stamp(nothing) is None


@pytest.mark.parametrize("value", ["5", 5.0, True, None, 2**63, -(2**63) - 1, [5]])
def test_no_integers(value: t.Any) -> None:
    assert _bundle.integer(value) is None


@given(st.text(), st.integers(min_value=0, max_value=400))
def test_clean_text_is_one_short_printable_line(text: str, limit: int) -> None:
    shown = _text.clean(text, limit)
    assert len(shown) <= limit
    assert not [sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert _text.clean(shown, limit) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31mred\x07", "a [31mred"),
        ("two\nlines\u2028three", "two lines three"),
        ("\u202egnp.exe", "gnp.exe"),
        ("{{ lookup('pipe', 'id') }}", "{{ lookup('pipe', 'id') }}"),
        ("x" * 10, "xxxxx..."),
        (5, "5"),
        (True, "True"),
        (None, ""),
        ([1], ""),
        (10**30, ""),
    ],
)
def test_clean(value: t.Any, shown: str) -> None:
    assert _text.clean(value, 8 if value == "x" * 10 else 100) == shown
