# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of what a step keeps: only the digest of a plan gets into it."""

from __future__ import annotations

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.kept import kept_name
from hypothesis import given
from hypothesis import strategies as st

HEX = "0123456789abcdef"
WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,40}", fullmatch=True)


@given(word=WORDS, digits=st.text(HEX, min_size=16, max_size=16))
def test_the_digest_of_any_incident_names_what_is_kept(word: str, digits: str) -> None:
    assert kept_name("app.toml", f"{word}-{digits}") == f"app.toml.incident-{word}-{digits}"


@pytest.mark.parametrize(
    "digest",
    [
        "",
        HEX,
        f"-{HEX}",
        f"halt{HEX}",
        "run-5f0c2b9a",
        f"halt-{HEX}\n",
        f"halt-{HEX}0",
        f"halt-{HEX.upper()}",
        f"Halt-{HEX}",
        f"{'h' * 42}-{HEX}",
        f"../halt-{HEX}",
        f"halt/x-{HEX}",
        f"halt -{HEX}",
        f"h\u0430lt-{HEX}",
        "halt-\u0660123456789abcdef",
    ],
)
def test_anything_else_is_refused_with_what_was_given(digest: str) -> None:
    with pytest.raises(
        ValueError, match=r"^digest is '.*', which is not the digest of a plan, such as chain_halt-0123456789"
    ):
        kept_name("app.toml", digest)
