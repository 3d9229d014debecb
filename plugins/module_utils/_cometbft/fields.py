# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values out of an answer of the RPC, each checked before it is used. PRIVATE to the collection.

CometBFT writes int64, uint64 and int as text and int32 as number (libs/json/doc.go). Either spelling of a whole number
is taken, because versions differ in it and it changes nothing; any other kind of value, sign or size is malformed.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import typing as t

from .._host.parts import PartError, clean

INT64 = 2**63 - 1
ADDRESS = re.compile(r"[0-9A-F]{40}")
NODE_ID = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"(?:[0-9A-F]{64})?")

_DIGITS = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z")
_EPOCH = datetime.datetime(1970, 1, 1)


class Obj:
    """An object of an answer, with the place it stands at for messages.

    Every method takes a key and raises PartError (malformed), naming the place, when the value is not what it must be.
    """

    def __init__(self, value: t.Any, where: str) -> None:
        if not isinstance(value, dict):
            raise wrong(where, "is not an object")
        self._value = value
        self.where = where

    def has(self, key: str) -> bool:
        """Whether the key is there with anything but null."""
        return self._value.get(key) is not None

    def inner(self, key: str) -> Obj:
        """The object under a key."""
        return Obj(self._value.get(key), f"{self.where}.{key}")

    def items(self, key: str) -> list[t.Any]:
        """The list under a key; Go writes an empty one as null."""
        value = self._value.get(key, "")
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong(f"{self.where}.{key}", "is not a list")
        return value

    def objects(self, key: str) -> list[Obj]:
        """The list of objects under a key."""
        return [Obj(value, f"{self.where}.{key}[{index}]") for index, value in enumerate(self.items(key))]

    def integer(self, key: str, low: int = 0, high: int = INT64, default: t.Optional[int] = None) -> int:
        """A whole number from ``low`` to ``high``; ``default`` where the key is missing, if there is one."""
        value = self._value.get(key)
        if value is None and default is not None:
            return default
        number = whole(value)
        if number is None or not low <= number <= high:
            raise wrong(f"{self.where}.{key}", f"is not a whole number from {low} to {high}")
        return number

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._value.get(key)
        if not isinstance(value, bool):
            raise wrong(f"{self.where}.{key}", "is neither true nor false")
        return value

    def text(self, key: str, limit: int = 300) -> str:
        """A text, cleaned; "" where the key is missing (proto3 leaves empty texts out)."""
        value = self._value.get(key, "")
        if not isinstance(value, str):
            raise wrong(f"{self.where}.{key}", "is not a text")
        return clean(value, limit)

    def match(self, key: str, pattern: re.Pattern[str]) -> str:
        """A text that matches as a whole."""
        value = self._value.get(key)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise wrong(f"{self.where}.{key}", "is not of the form it must have")
        return value

    def base64_hex(self, key: str) -> str:
        """Bytes in base64, as upper-case hex digits; "" where the key is missing."""
        value = self._value.get(key, "")
        try:
            return base64.b64decode(value, validate=True).hex().upper()
        except (TypeError, ValueError, binascii.Error):
            raise wrong(f"{self.where}.{key}", "is not base64") from None

    def time(self, key: str) -> t.Optional[str]:
        """A time as it was written (RFC 3339 in UTC, up to nine digits of a second); None for Go's zero time."""
        value = self._value.get(key)
        if nanoseconds(value) is None:
            raise wrong(f"{self.where}.{key}", "is not a time in UTC")
        return None if str(value).startswith("0001-") else str(value)

    def sure_time(self, key: str) -> str:
        """A time that is not Go's zero time."""
        time = self.time(key)
        if time is None:
            raise wrong(f"{self.where}.{key}", "is not set")
        return time


def wrong(where: str, what: str) -> PartError:
    """The error for a value of another shape."""
    return PartError("malformed", f"{where} {what}")


def whole(value: t.Any) -> t.Optional[int]:
    """A whole number written as number or text; None for anything else (true, 1.0, " 1", "+1", "01")."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def nanoseconds(value: t.Any) -> t.Optional[int]:
    """A time of CometBFT as nanoseconds since 1970; None for anything that is no such time."""
    match = _TIME.fullmatch(value) if isinstance(value, str) and value.isascii() else None
    if not match:
        return None
    try:
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        moment = datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    since = moment - _EPOCH
    return (since.days * 86400 + since.seconds) * 10**9 + int((match.group(7) or "").ljust(9, "0"))
