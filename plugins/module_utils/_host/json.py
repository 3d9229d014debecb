# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that is not trusted, read strictly and with bounded memory. PRIVATE to the collection.

``loads`` builds the whole tree. ``prune`` reads a stream of any length and keeps what was asked for, nothing else.
"""

from __future__ import annotations

import codecs
import collections
import json
import re
import typing as t
from dataclasses import dataclass

from .parts import PartError

# Measured with CPython 3.11 (VmHWM): the worst text, "[{},{},...", costs 27 times its size as a tree. With twelve such
# answers at once, one of them a tree at a time, a module stays below 80 MB.
TREE_CAP = 768 * 1024
# What a pruned tree may weigh, by the estimate below. The consensus state of 200 validators weighs 1 MB.
KEPT_CAP = 8 * 1024 * 1024
# A text that is kept: the longest honest one is a bit array, one character for each of at most 10000 validators
# (CometBFT types/vote_set.go: MaxVotesCount).
TEXT_CAP = 16 * 1024
# A number that is kept or built: 2^64 has 20 digits.
DIGITS_CAP = 40

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_BRACKET = re.compile(r'["{}\[\]]')
_WORD = re.compile(f"[-+.0-9A-Za-z]{{0,{DIGITS_CAP + 1}}}")
_CONTAINER_COST = 250  # bytes of a small dict or list with its place in another
_SCALAR_COST = 70  # bytes of a short text beside its characters


@dataclass(frozen=True)
class Items:
    """A list of which the first ``first`` and the last ``last`` items are kept, each by ``item``."""

    item: t.Any
    first: int = 10000
    last: int = 0


Bytes = t.Union[bytes, bytearray]
OTHER = ()
SCALAR = None  # the mark of a text, number, true, false or null in what ``prune`` is asked for


def loads(data: Bytes) -> t.Any:
    """The tree of a JSON text in UTF-8. Raises PartError (malformed) for everything that is not strictly that.

    Refused, although Python's reader takes them: a key twice, NaN and Infinity, whole numbers of over 40 digits.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer)
    except UnicodeDecodeError:
        raise PartError("malformed", "the answer is not UTF-8") from None
    except RecursionError:
        raise PartError("malformed", "the answer is nested too deep") from None
    except ValueError:
        raise PartError("malformed", "the answer is not JSON") from None


def _object(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise PartError("malformed", "the answer names a key twice")
    return tree


def _constant(word: str) -> t.NoReturn:
    raise PartError("malformed", f"the answer holds {word}, which is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > DIGITS_CAP:
        raise PartError("malformed", "the answer holds a number of too many digits")
    return int(digits)


def prune(pieces: t.Iterator[Bytes], wanted: t.Any, cap: int = KEPT_CAP) -> t.Any:
    """Read one JSON text from a stream and keep of it what ``wanted`` names.

    ``wanted`` is SCALAR, a dict of the keys to keep and what to keep of each, or Items. A value of another kind than
    wanted becomes OTHER, which is no JSON value; null stays None. What is left out is skipped without being built, and
    checked for brackets and quotes only.
    Raises PartError: malformed, or too_large when what is to be kept weighs more than ``cap``.
    """
    source = _Source(pieces, cap)
    try:
        kept = source.read(wanted)
        if source.peek_or_end():
            raise PartError("malformed", "there is something behind the JSON of the answer")
    except UnicodeDecodeError:
        raise PartError("malformed", "the answer is not UTF-8") from None
    return kept


class _Source:
    """The text of a stream, of which only the piece at hand is in memory."""

    def __init__(self, pieces: t.Iterator[Bytes], cap: int) -> None:
        self._pieces = pieces
        self._cap = cap
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._cost = 0

    def read(self, wanted: t.Any) -> t.Any:
        """One value. The depth of this recursion is the depth of ``wanted``, never that of the text."""
        sign = self._peek()
        if isinstance(wanted, dict) and sign == "{":
            return self._object(wanted)
        if isinstance(wanted, Items) and sign == "[":
            return self._list(wanted)
        if wanted is SCALAR and sign not in "{[":
            value = self._string(TEXT_CAP) if sign == '"' else self._word()
            self._pay(_SCALAR_COST + (len(value) if isinstance(value, str) else 0))
            return value
        if sign == "n":
            return self._word()
        self._skip()
        return OTHER

    def peek_or_end(self) -> str:
        """The next character that is no space, "" at the end of the stream."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _pay(self, cost: int) -> None:
        self._cost += cost
        if self._cost > self._cap:
            raise PartError("too_large", "the answer holds more than can be kept in memory")

    def _more(self) -> bool:
        for piece in self._pieces:
            text = self._decoder.decode(piece)
            if text:
                self._text = self._text[self._at :] + text
                self._at = 0
                return True
        self._decoder.decode(b"", True)
        return False

    def _peek(self) -> str:
        sign = self.peek_or_end()
        if not sign:
            raise PartError("malformed", "the answer is JSON that is cut off")
        return sign

    def _take(self, allowed: str) -> str:
        sign = self._peek()
        if sign not in allowed:
            raise PartError("malformed", "the answer is not JSON")
        self._at += 1
        return sign

    def _object(self, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
        self._pay(_CONTAINER_COST)
        tree: dict[str, t.Any] = {}
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            return tree
        while True:
            if self._peek() != '"':
                raise PartError("malformed", "the answer is not JSON")
            key = self._string(TEXT_CAP)
            self._take(":")
            if key not in wanted:
                self._skip()
            elif key in tree:
                raise PartError("malformed", "the answer names a key twice")
            else:
                tree[key] = self.read(wanted[key])
            if self._take(",}") == "}":
                return tree

    def _list(self, wanted: Items) -> list[t.Any]:
        self._pay(_CONTAINER_COST)
        head: list[t.Any] = []
        tail: collections.deque[tuple[t.Any, int]] = collections.deque()
        self._take("[")
        if self._peek() == "]":
            self._take("]")
            return head
        while True:
            before = self._cost
            item = self.read(wanted.item)
            if len(head) < wanted.first:
                head.append(item)
            elif wanted.last:
                tail.append((item, self._cost - before))
                if len(tail) > wanted.last:
                    self._cost -= tail.popleft()[1]
            else:
                raise PartError("too_large", "the answer holds a longer list than CometBFT allows")
            if self._take(",]") == "]":
                return head + [item for item, _cost in tail]

    def _string(self, cap: int) -> str:
        """The text between two quotes; with ``cap`` 0 it is passed over and "" returned."""
        self._at += 1
        pieces: list[str] = []
        size = 0
        while True:
            plain = _PLAIN.match(self._text, self._at)
            end = plain.end() if plain else self._at
            if cap:
                pieces.append(self._text[self._at : end])
                size += end - self._at
                if size > cap:
                    raise PartError("too_large", f"the answer holds a text of more than {cap} characters")
            self._at = end
            if end + 1 >= len(self._text) and (end == len(self._text) or self._text[end] == "\\"):
                if not self._more():
                    raise PartError("malformed", "the answer is JSON that is cut off")
                continue
            sign = self._text[end]
            if sign == '"':
                self._at += 1
                break
            if sign != "\\":
                raise PartError("malformed", "the answer is not JSON")
            # What follows a backslash is not looked at here: the four digits behind a "u" are plain characters.
            if cap:
                pieces.append(self._text[end : end + 2])
                size += 2
            self._at += 2
        text = "".join(pieces)
        return str(loads(f'"{text}"'.encode("utf-8", "replace"))) if "\\" in text else text

    def _word(self) -> t.Any:
        """A number, true, false or null."""
        while True:
            word = _WORD.match(self._text, self._at)
            end = word.end() if word else self._at
            if end < len(self._text) or not self._more():
                break
        text = self._text[self._at : end]
        if len(text) > DIGITS_CAP:
            raise PartError("malformed", "the answer holds a number of too many digits")
        self._at = end
        return loads(text.encode("ascii"))

    def _skip(self) -> None:
        """Pass over one value of any depth."""
        sign = self._peek()
        if sign == '"':
            self._string(0)
        elif sign not in "{[":
            self._word()
        else:
            self._skip_container()

    def _skip_container(self) -> None:
        depth = 0
        while True:
            # Up to the next text only brackets matter.
            for bracket in _BRACKET.finditer(self._text, self._at):
                self._at = bracket.end()
                sign = bracket.group()
                if sign == '"':
                    self._at -= 1
                    self._string(0)
                    break
                depth += 1 if sign in "{[" else -1
                if depth == 0:
                    return
            else:
                self._at = len(self._text)
                if not self._more():
                    raise PartError("malformed", "the answer is JSON that is cut off")
