# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside, made safe to show on one line."""

from __future__ import annotations

import typing as t
import unicodedata

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path import text as _text
from hypothesis import given
from hypothesis import strategies as st


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
