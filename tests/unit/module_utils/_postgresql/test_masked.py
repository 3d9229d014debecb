# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of statements without what may be a customer's data or a password."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import server
from hypothesis import given, settings
from hypothesis import strategies as st

# Characters of values only: none may leave. The others are those that quote, comment and escape.
HIDDEN = "ßæ"
INSIDE = st.text(alphabet=HIDDEN + "'\"$-*/ ;\n?x7", max_size=12).map(lambda text: f"ß{text}æ")
LITERALS = st.one_of(
    INSIDE.map(lambda text: "'" + text.replace("'", "''") + "'"),
    INSIDE.map(lambda text: "U&'" + text.replace("'", "''") + "'"),
    INSIDE.map(lambda text: "$$" + text.replace("$", "") + "$$"),
    INSIDE.map(lambda text: "$q_1$" + text + "$q_1$"),
    INSIDE.map(lambda text: "/*" + text.replace("*", "").replace("/", "") + "*/"),
    INSIDE.map(lambda text: "--" + text.replace("\n", "") + "\n"),
)
BETWEEN = st.sampled_from([" , ", " > ", " AND a.b<", "(", ") ", "\n", "\t||\t", "::jsonb - ", ' "Name" ', " $1 "])


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ""),
        ("SELECT * FROM orders", "SELECT * FROM orders"),
        ("UPDATE t SET a='x', b IN (7, 8) WHERE id > 42", "UPDATE t SET a=?, b IN (?, ?) WHERE id > ?"),
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD ?"),
        ("SET app.key TO hunter2; SET a = b", "SET app.key TO ?"),
        ("SELECT 'it''s', '', x", "SELECT ?, ?, x"),
        ("SELECT b'01', X'ff', N'q', U&'w', date'2026-11-30'", "SELECT b?, X?, N?, U&?, date?"),
        ("SELECT $$a'b$$, $fn$ $$ $fn$, $1", "SELECT ?, ?, $1"),
        ("SELECT /* card 4111 */ 1 -- for Jane\nFROM t2", "SELECT ? FROM t2"),
        ("SELECT 'a -- b', 'c /* d', e", "SELECT ?, ?, e"),
        ("/* it's */ SELECT col1 -- don't", "SELECT col1"),
        ('SELECT \'x\' AS "Customer\'s name", "a""\'b", y', 'SELECT ? AS "Customer\'s name", "a""\'b", y'),
        ("SELECT 'never closed", "SELECT ?"),
        ("SELECT \"never closed, 'x'", 'SELECT "'),
        ("SELECT $x$ never closed $y$", "SELECT ?"),
        ("SELECT 1 /* never closed", "SELECT ?"),
        ("SELECT 1.5e7, 0x1F, 1_000", "SELECT ?, ?, ?"),
        ("SELECT t1.c2 FROM s3.t1", "SELECT t1.c2 FROM s3.t1"),
        # Where only the server's settings say what follows, nothing of it is kept.
        ("SELECT a, 'C:\\', x", "SELECT a, ?"),
        ("SELECT a, E'it\\'s ', 'b'", "SELECT a, E?"),
        ("SELECT a /* b /* c */ d */ FROM t", "SELECT a FROM t"),
        ("SELECT\r\n\t\x1b[mcol\x1b]0;title\x07\x00b\u202ec", "SELECT col b c"),
        ("\x1b/**/[mSELECT a", "[mSELECT a"),
    ],
)
def test_values_and_comments_are_replaced_and_the_rest_is_kept(query: str, shown: str) -> None:
    assert " ".join(server.masked(query).split()) == shown


@pytest.mark.parametrize(
    "query",
    [
        "SELECT E'it''s \\' SECRET b'",
        "UPDATE t SET a = $$two SECRET$$",
        "SELECT a WHERE b = /* the SECRET */ 1",
        "SELECT a WHERE b = -- the SECRET\n 1",
        "ALTER ROLE app SET a TO  'two SECRET b'",
        "ALTER ROLE app SET a TO\n\n$$two SECRET$$",
        "SELECT a --c\rFROM t WHERE n > 'a\nSECRET b'",
    ],
)
def test_what_hides_a_quote_hides_no_value(query: str) -> None:
    assert "SECRET" not in server.masked(query)


@settings(max_examples=60)
@given(pieces=st.lists(st.tuples(BETWEEN, LITERALS), max_size=8), cut=st.integers(0, 200))
def test_no_value_leaves_wherever_the_server_cut_the_statement_off(pieces: list[tuple[str, str]], cut: int) -> None:
    query = "SELECT " + "".join(between + literal for between, literal in pieces)
    for text in (query, query[:cut]):
        assert not set(server.masked(text)) & set(HIDDEN)


@given(query=st.text(), number=st.integers(10_000, 10**20))
def test_whatever_the_text_is_it_is_one_short_line_without_escapes(query: str, number: int) -> None:
    shown = server.masked(query)
    assert len(shown) <= server.QUERY_SHOWN and shown == shown.strip()
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e]", shown)
    assert str(number) not in server.masked(f"WHERE id = {number} AND {query}")


PIECES = ["'", "$a", "/*", "--\n", '"', "TO a"]


@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_takes_no_time(piece: str) -> None:
    assert took(piece * (1_000_000 // len(piece))) < 2


def test_a_long_word_takes_no_time() -> None:
    assert took("e" * 5_000) < 0.03


def took(query: str) -> float:
    began = time.process_time()
    assert len(server.masked(query)) <= server.QUERY_SHOWN
    return time.process_time() - began
