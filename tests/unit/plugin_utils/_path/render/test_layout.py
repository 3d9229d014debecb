# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of at most 100 columns: nothing is cut in a word or a number, a bar does not lie, a command can be pasted."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path import text as _text
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import layout
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render.lines import HOSTILE, columns, fits


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("answer 90 is 47 s old, the limit is 30 s", 39, "answer 90 is 47 s old, the limit is .."),
        ("local key files of one address", 20, "local key files .."),
        ("local key files of one address", 21, "local key files of .."),
        ("local key files of one address", 22, "local key files of .."),
        ("it fits", 7, "it fits"),
        ("node 8B01023386C371778ECB6368573E539AFC3CC860", 20, "node 8B01023386C37.."),
    ],
)
def test_a_text_is_not_cut_in_a_word_or_number(text: str, room: int, shown: str) -> None:
    assert layout.cut(text, room) == shown


def test_what_is_made_safe_is_not_cut_in_a_word_either() -> None:
    assert _text.clean("the limit of the queue is 300 s", 30) == "the limit of the queue is..."
    assert _text.clean("the limit of the queue is 300 s", 32) == "the limit of the queue is 300 s"
    assert _text.clean("the limit of a queue is 300 s ago", 32) == "the limit of a queue is 300 s..."
    assert _text.clean("x" * 40, 32) == "x" * 29 + "..."


def test_a_wrapped_text_ends_with_a_whole_word() -> None:
    words = "the newest answer is 47 s old, the limit is 30 s " * 6
    for start in range(40):
        (line,) = layout.wrap(words, " " * start, most=1)
        assert line.endswith(" ..")
        assert words.startswith(line.strip().removesuffix(".."))


@given(HOSTILE, st.integers(0, 60), st.integers(1, 30))
def test_wrapped_lines_fit_and_are_no_more_than_allowed(text: str, indent: int, most: int) -> None:
    lines = layout.wrap(text, " " * indent, most=most)
    assert 1 <= len(lines) <= most
    assert fits(lines)


@given(HOSTILE, st.integers(3, 100))
def test_what_is_cut_or_padded_fits(text: str, room: int) -> None:
    assert columns(layout.cut(text, room)) <= room
    assert columns(layout.pad(text, room)) == room


@given(HOSTILE)
def test_a_fitted_line_fits_whatever_it_was(text: str) -> None:
    assert fits([layout.fitted(text)])


def gauge(total: int, needed: int, value: int, unknown: int = 0) -> dict[str, object]:
    return {"total": total, "needed": needed, "value": value, "unknown": unknown, "words": "in words"}


@pytest.mark.parametrize(
    ("total", "needed", "value", "unknown", "start"),
    [
        (100, 67, 66, 0, "[" + "#" * 33 + ".|"),
        (100, 67, 67, 0, "[" + "#" * 34 + "|"),
        (3, 3, 2, 1, "[" + "#" * 33 + "?" * 17 + "|"),
        (3, 3, 3, 0, "[" + "#" * 50 + "|"),
        (2**63, 2**64 // 3 + 1, 2**64 // 3, 0, "[" + "#" * 33 + ".|"),
        (10, 0, 0, 0, "[|...."),
        (2, 3, 2, 0, "[" + "#" * 33 + "." * 17 + "|"),
    ],
)
def test_the_bar_never_lies_about_the_line(total: int, needed: int, value: int, unknown: int, start: str) -> None:
    drawn = layout.gauge_bar(gauge(total, needed, value, unknown))
    assert drawn.startswith(start)
    assert drawn[52:] == "] in words"


@given(st.integers(1, 2**64), st.data())
def test_the_bar_reaches_the_line_exactly_when_the_value_does(total: int, data: st.DataObject) -> None:
    needed, value = data.draw(st.integers(1, 2 * total)), data.draw(st.integers(0, total))
    drawn = layout.gauge_bar(gauge(total, needed, value, data.draw(st.integers(0, total - value))))
    assert ("#|" in drawn) == (value >= needed)
    assert drawn.index("]") == 52


@pytest.mark.parametrize("total", [0, -1, None, "many"])
def test_without_a_total_only_the_words_are_left(total: object) -> None:
    assert layout.gauge_bar({**gauge(1, 1, 1), "total": total}) == "in words"


@pytest.mark.parametrize(
    "last",
    [["-e", "a b=" + "x" * 30], ["inventories/production/" * 9 + "hosts"], ["it's " * 40 + "$HOME `id` \\"]],
)
def test_a_shell_reads_a_long_command_as_it_was_given(last: list[str]) -> None:
    words = ["ansible-playbook", "playbooks/pool.yml", "-i", "inventories/production/eu/hosts", *last]
    shown = layout.command(shlex.join(words))
    assert shown is not None
    assert len(shown) > 1
    assert fits(shown)
    ran = subprocess.run(
        ["sh", "-c", "printf '%s\\0' " + "\n".join(shown).lstrip()], capture_output=True, check=True, text=True
    )
    assert ran.stdout.split("\0")[:-1] == words


@given(st.lists(st.text(alphabet=st.sampled_from("ab/='\"{}$ -\\\u5bbf"), min_size=1, max_size=150), min_size=1))
def test_a_shown_command_is_the_given_one(words: list[str]) -> None:
    shown = layout.command(shlex.join(words))
    if shown is not None:
        assert fits(shown)
        assert shlex.split("\n".join(shown).replace("\\\n", "")) == words


@pytest.mark.parametrize("hidden", ["a\nb", "a\x1b[2Jb", "a\u202eb", "a  b", "'unclosed" + "x" * 100])
def test_a_command_that_a_screen_would_change_is_not_shown(hidden: str) -> None:
    assert layout.command(hidden) is None


COMMANDS = [
    "systemctl status web.service",
    "journalctl -u web.service -n 50 | tail  # the last lines",
    'for f in /var/lib/web/*.log; do grep -c \'GET /health check="deep"\' "$f"; done | sort -n  # how often each was asked',
    "curl -s http://127.0.0.1:8080/status?verbose=1 | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"load\"])'",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_by_hand_is_shown_as_it_is(text: str) -> None:
    lines = layout.typed(layout.tidy(text), 4)
    assert lines is not None
    assert fits(lines)
    pasted = "\n".join(lines).replace("\\\n", "")
    assert shlex.split(pasted, comments=True) == shlex.split(text, comments=True)
    assert pasted.count("#") == text.count("#")


def test_a_word_that_fits_no_line_is_not_shown() -> None:
    assert layout.typed(f"grep '{'x' * 100}' file", 6) is None
    assert layout.typed("true", 0) is None


@pytest.mark.parametrize(
    ("value", "shown"), [(5, "5"), (-3, "-3"), (True, "?"), (None, "?"), ("5", "?"), (1.5, "?"), (10**20, "?")]
)
def test_a_figure_is_an_integer_or_a_question_mark(value: object, shown: str) -> None:
    assert layout.number(value) == shown


def test_times_are_shown_with_their_date_unless_it_is_the_day_of_another() -> None:
    assert layout.moment("2026-05-04T10:02:03.5Z") == "2026-05-04 10:02:03 UTC"
    assert layout.clock("2026-05-04T10:02:03Z", "2026-05-04T00:00:00Z") == "10:02:03"
    assert layout.clock("2026-05-04T10:02:03Z", "2026-05-05T00:00:00Z") == "2026-05-04 10:02:03"
    for other in (None, "now", "2026-05-04 10:02:03", 5):
        assert layout.moment(other) is None
        assert layout.clock(other) is None
