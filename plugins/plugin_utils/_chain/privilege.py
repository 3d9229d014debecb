# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only root reads on a node's host, and is missing: said before anything that is concluded without it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._path.text import clean
from .node import NodeEvidence
from .reading.types import Node

# Parts without which a node that does not vote cannot be told from one that must not be started.
_PARTS = {
    "journal": "journal",
    "signer": "signing state",
    "config": "configuration",
    "genesis": "genesis file",
    "process": "processes",
    "unit": "unit",
}
_MOST_HOSTS = 6
_MOST_PARTS = 3


@dataclass(frozen=True)
class Missing:
    """Where privilege is missing. ``everywhere``: no host of ours was read with it."""

    hidden: tuple[str, ...]  # hosts that were read by a user who is not root
    parts: tuple[str, ...]  # what they hide from that user, in words
    refused: tuple[str, ...]  # hosts on which the login user may not become root
    everywhere: bool

    @property
    def option(self) -> str:
        """What to add to the command."""
        return "-b" if self.hidden else "-K"

    def sentence(self, nothing: bool) -> str:
        """``nothing``: neither the hosts nor their RPC show anything of the chain."""
        sentences = []
        if nothing:
            sentences.append(f"Nothing could be read without privilege: add {self.option} and run again.")
        if self.hidden:
            todo = "" if nothing else ": add -b and run again"
            sentences.append(f"On {_names(self.hidden)} only root can read the {_listed(self.parts)}{todo}.")
        if self.refused:
            sentences.append(f"On {_names(self.refused)} becoming root was refused: add -K for the password.")
        return " ".join(sentences)

    def brief(self) -> str:
        """One short line."""
        why = f"only root can read the {_listed(self.parts)}" if self.hidden else "becoming root was refused"
        return f"Add {self.option} and run again: {why}."

    def next_lines(self) -> list[str]:
        """What to do, before anything else."""
        lines = []
        if self.hidden:
            lines.append(f"Run the same command again with -b: only root can read the {_listed(self.parts)}.")
        if self.refused:
            lines.append(
                f"Give the sudo password with -K, or let the login user become root on {_names(self.refused)}. Run again."
            )
        return lines


def missing(nodes: t.Iterable[Node]) -> t.Optional[Missing]:
    """Where privilege is missing; None where what was asked was read."""
    asked = list(nodes)
    hidden = {node.host: parts for node in asked if node.data is not None and (parts := hidden_parts(node.data))}
    refused = tuple(sorted(node.host for node in asked if node.error is not None and node.error.kind == "privilege"))
    if not hidden and not refused:
        return None
    return Missing(
        tuple(sorted(hidden)),
        tuple(words for name, words in _PARTS.items() if any(name in parts for parts in hidden.values())),
        refused,
        all(node.host in hidden for node in asked if node.data is not None),
    )


def hidden_parts(data: NodeEvidence) -> list[str]:
    """The telling parts that a user who is not root could not read."""
    if data.privileged is not False:
        return []
    parts = ((name, getattr(data, name)) for name in _PARTS)
    return [name for name, part in parts if part.error is not None and part.error.kind == "privilege"]


def _names(hosts: tuple[str, ...]) -> str:
    more = f" and {len(hosts) - _MOST_HOSTS} more" if len(hosts) > _MOST_HOSTS else ""
    return ", ".join(clean(host, 40) for host in hosts[:_MOST_HOSTS]) + more


def _listed(words: tuple[str, ...]) -> str:
    shown = [*words[:_MOST_PARTS], *([f"{len(words) - _MOST_PARTS} more"] if len(words) > _MOST_PARTS else [])]
    *first, last = shown
    return f"{', '.join(first)} and {last}" if first else last
