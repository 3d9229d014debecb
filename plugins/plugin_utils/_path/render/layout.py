# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for a screen of at most 100 columns: width, cutting, wrapping, figures and times. PRIVATE to the collection.

Names are not trusted. They may hold wide signs, stacks of accents or signs that turn the line around; what is
printed has been cleaned, and its width is counted in columns and not in characters.
"""

from __future__ import annotations

import re
import shlex
import typing as t
import unicodedata

from ..text import clean

COLUMNS = 100
INDENT = "  "
BAR_CELLS = 50

# What the shell takes for one word: blanks in quotes belong to it.
_SHELL_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")


def _columns(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in ("W", "F") else 1


def width(text: str) -> int:
    """How many columns a terminal gives to ``text``."""
    return len(text) if text.isascii() else sum(_columns(sign) for sign in text)


def tidy(value: t.Any, limit: int = 300) -> str:
    """``value`` cleaned, of at most ``limit`` characters, with at most one loose accent to a sign."""
    text = clean(value, limit)
    if text.isascii():
        return text
    kept: list[str] = []
    loose = 0
    for sign in unicodedata.normalize("NFC", text):
        if unicodedata.category(sign)[0] == "C":
            # Unassigned and private signs have no known width, format signs none at all.
            continue
        loose = loose + 1 if _columns(sign) == 0 else 0
        if loose < 2 and (kept or not loose):
            kept.append(sign)
    return "".join(kept)


def cut(value: t.Any, columns: int) -> str:
    """``value`` tidied and cut to so many columns; what was cut ends in two dots."""
    text = tidy(value, 4 * columns + 16)
    return text if width(text) <= columns else _shortened(text, columns)


def _shortened(text: str, columns: int) -> str:
    """The beginning of a text and two dots, in so many columns. Half a word, or half a number, would be misread.

    So it ends with a whole word; only where the last one fills more than half of the room it is a path, a digest or a
    name that says more by its beginning than by nothing.
    """
    kept = ""
    room = columns - 2
    for sign in f"{text} ":
        room -= _columns(sign)
        if room < 0:
            break
        kept += sign
    blank = kept.rfind(" ") + 1
    return (kept[:blank] if 2 * blank >= columns else kept) + ".."


def pad(value: t.Any, columns: int) -> str:
    """``value`` cut or filled with spaces to exactly so many columns."""
    text = cut(value, columns)
    return text + " " * (columns - width(text))


def number(value: t.Any) -> str:
    """An integer as text; "?" where it is not known, and where it is none or too large to be one."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**20:
        return "?"
    return str(value)


def sentence(text: t.Any) -> str:
    """The text capitalized, with a full stop behind."""
    line = tidy(text, 700)
    return line[:1].upper() + line[1:] + ("" if not line or line.endswith(".") else ".")


def wrap(value: t.Any, first: str = "", rest: str | None = None, most: int = 20) -> list[str]:
    """``value`` in lines of at most 100 columns, the first one after ``first``, the others after ``rest``.

    ``rest`` is as many spaces as ``first`` is long where it is not given. After ``most`` lines the text is cut.
    """
    rest = " " * width(first) if rest is None else rest
    lines = [first]
    empty = True
    for word in _words(tidy(value, 4000), COLUMNS - max(width(first), width(rest))):
        if not empty and width(lines[-1]) + 1 + width(word) > COLUMNS:
            lines.append(rest)
            empty = True
        lines[-1] += word if empty else f" {word}"
        empty = False
    if len(lines) > most:
        indent = first if most == 1 else rest
        last = lines[most - 1][len(indent) :].strip()
        lines = [*lines[: most - 1], indent + _shortened(last, COLUMNS - width(indent))]
    return [line.rstrip() for line in lines]


def _words(text: str, columns: int) -> t.Iterator[str]:
    """The words of a text, those wider than a line in pieces."""
    for word in text.split():
        piece = ""
        for sign in word:
            if width(piece) + _columns(sign) > columns:
                yield piece
                piece = ""
            piece += sign
        yield piece


def command(text: str) -> list[str] | None:
    """A command line in lines of at most 100 columns that may be pasted into a shell as they are.

    Longer ones are continued with a backslash. None where that cannot be shown: it holds signs that a screen hides or
    spaces that it merges, or is no command line.
    """
    if not text.isprintable() or tidy(text, len(text)) != text:
        return None
    if width(text) + 4 <= COLUMNS:
        return ["    " + text]
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    lines = ["   "]
    for word in words:
        pieces = list(_quoted(word, COLUMNS - 10))
        if width(lines[-1]) + width(pieces[0]) + 3 > COLUMNS:
            lines[-1] += " \\"
            lines.append("       ")
        lines[-1] += " " + pieces[0]
        # The rest of a long word goes on in the first column: the shell joins what a backslash parts.
        for piece in pieces[1:]:
            lines[-1] += "\\"
            lines.append(piece)
    return lines


def typed(text: str, most: int) -> list[str] | None:
    """A line for a shell with pipes, quotes and a comment, in at most ``most`` lines that may be pasted as they are.

    It is continued between two words, outside of quotes. A comment that no longer fits stands above it. None where a
    word is too long for a line, or more lines are needed.
    """
    if width(text) + 4 <= COLUMNS:
        return ["    " + text] if most else None
    words = _SHELL_WORD.findall(text)
    begin = next((place for place, word in enumerate(words) if word.startswith("#")), len(words))
    lines = ["    " + " ".join(words[begin:])] if begin < len(words) else []
    lines.append("   ")
    for word in words[:begin]:
        if width(lines[-1]) + width(word) + 3 > COLUMNS:
            lines[-1] += " \\"
            lines.append("       ")
        lines[-1] += " " + word
    return lines if len(lines) <= most and all(width(line) <= COLUMNS for line in lines) else None


def _quoted(word: str, columns: int) -> t.Iterator[str]:
    """A word as the shell reads it, in pieces of at most so many columns."""
    piece = ""
    for sign in word:
        if width(shlex.quote(piece + sign)) > columns:
            yield shlex.quote(piece)
            piece = ""
        piece += sign
    yield shlex.quote(piece)


def moment(stamp: t.Any) -> str | None:
    """An RFC 3339 time in UTC as "2026-05-04 10:02:03 UTC"; None where it is none."""
    match = _STAMP.fullmatch(stamp) if isinstance(stamp, str) else None
    return f"{match[1]} {match[2]} UTC" if match else None


def clock(stamp: t.Any, day: t.Any = None) -> str | None:
    """The time of day of an RFC 3339 time; with its date where that is not the date of the time ``day``."""
    match = _STAMP.fullmatch(stamp) if isinstance(stamp, str) else None
    if match is None:
        return None
    same = isinstance(day, str) and day.startswith(match[1])
    return match[2] if same else f"{match[1]} {match[2]}"


def gauge_bar(gauge: dict[str, t.Any]) -> str:
    """``[#####??...|......] 32 of 100 ...``: a gauge of a verdict in one line, with its words behind it.

    ``#`` counts, ``?`` cannot be told, ``|`` is what is needed. Rounding never lets a bar reach the line that the value
    does not reach. Without a total only the words are left.
    """
    total, needed, value, unknown = (
        figure if isinstance(figure, int) else 0
        for figure in (gauge.get(key) for key in ("total", "needed", "value", "unknown"))
    )
    words = tidy(gauge.get("words"))
    if total <= 0:
        return words
    # More may be needed than there is in all: then the whole bar is what is needed.
    whole = max(total, needed)
    # Rounded up, as the cells are rounded down: what is short of the line is drawn short of it.
    line = -(-BAR_CELLS * needed // whole)
    full = _cells(value, whole)
    full = max(full, line) if value >= needed else full
    open_ = min(_cells(value + unknown, whole) - full, BAR_CELLS - full) if unknown else 0
    cells = "#" * full + "?" * max(0, open_)
    cells += "." * (BAR_CELLS - len(cells))
    return f"[{cells[:line]}|{cells[line:]}] {words}"


def _cells(value: int, total: int) -> int:
    return max(0, min(BAR_CELLS, BAR_CELLS * value // total))


def fitted(line: str) -> str:
    """The last check of a line: no sign that is not seen, and never more than 100 columns."""
    if line.isascii() and line.isprintable() and len(line) <= COLUMNS:
        return line
    kept = "".join(sign for sign in line if unicodedata.category(sign)[0] != "C" and sign not in "\u2028\u2029")
    while width(kept) > COLUMNS:
        kept = kept[:-1]
    return kept
