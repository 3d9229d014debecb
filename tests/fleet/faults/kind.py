# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of fault is, and what the kinds share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fleet import chain, watch
from tests.fleet.host import Box
from tests.fleet.run import Failed

Saved = dict[str, Any]
# {(file below config/, section, key): value as TOML}
Settings = dict[tuple[str, str, str], str]


class NotMade(Failed):
    """The fault cannot be made, and nothing was changed."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault. ``inject`` returns what its healing must know."""

    kind: str
    usage: str
    about: str
    inject: Callable[[Box, Sequence[str]], Saved]
    least: int = 0
    most: int = 0
    # A second one of its kind on a host would overwrite what the first keeps for its healing.
    once: bool = False
    # What runs on the hosts that can have it: a node, a database, or any of them.
    service: str = "node"


def number(text: str) -> int:
    """A whole number from 0 on."""
    if not (text.isascii() and text.isdigit()):
        raise NotMade(f"{text!r} is no whole number")
    return int(text)


def height(box: Box, text: str) -> int:
    """A height; ``+N`` means N blocks from now."""
    if not text.startswith("+"):
        return number(text)
    more = number(text[1:])
    try:
        return watch.height(box) + more
    except Failed as error:
        raise NotMade(f"{error}: give the height itself") from error


def choose(kind: str, text: str, known: Sequence[str]) -> str:
    """One of the known words."""
    if text not in known:
        raise NotMade(f"{kind}: {text!r} is none of {', '.join(known)}")
    return text


def change_settings(box: Box, values: Settings) -> Saved:
    """Change the node's configuration; what it was is what ``heal`` puts back."""
    before = []
    for (file, section, key), value in values.items():
        path = box.home / "config" / file
        before.append([file, section, key, chain.setting(path.read_text(encoding="utf-8"), key, section)])
        chain.set_values(path, {(section, key): value})
    return {"settings": before}
