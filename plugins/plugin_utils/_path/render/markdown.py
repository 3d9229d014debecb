# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as Markdown that can be pasted into a ticket; text that is not trusted stays text. PRIVATE to the collection."""

from __future__ import annotations

import re

from . import content
from .plan import Item

# Everything that starts something inside a line, in CommonMark and in what forges add to it: emphasis, code, links,
# tables, strikes, mentions, numbers of issues, formulas, templates.
_SPECIAL = re.compile(r"([\\`*_\[\]|~#!{}$@^])")
# What makes a line a list, a heading or a rule when it stands at its beginning.
_AT_START = re.compile(r"^(\d*)([-+=>]|(?<=\d)[.)])(?=\s|[-=>]|$)")
_ADDRESS = re.compile(r"(?i)(://|www\.)")


def page(record: content.Record) -> str:
    """The same content as in ``html``, as Markdown; see there."""
    parts = [f"# {escaped(content.title(record))}"]
    lead = True
    for block in content.blocks(record):
        if lead and isinstance(block, content.Paragraph):
            parts.append(f"**{escaped(block.text)}**")
            lead = False
        else:
            parts.append(_block(block))
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """A text as Markdown that shows it as it is and makes nothing of it."""
    text = _SPECIAL.sub(r"\\\1", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    # Forges turn bare addresses into links; without the sign in the middle they are text.
    text = _ADDRESS.sub(lambda match: match[1].replace(":", "&#58;").replace(".", "&#46;"), text)
    return _AT_START.sub(r"\1\\\2", text)


def _block(block: content.Block) -> str:
    if isinstance(block, content.Heading):
        return f"## {escaped(block.text)}"
    if isinstance(block, content.Items):
        return "\n".join(f"- {_item(item)}" for item in block.items)
    if isinstance(block, content.Table):
        return _table(block)
    if isinstance(block, content.Verbatim):
        return _fenced(block.text)
    if isinstance(block, content.Picture):
        return _fenced(content.gauge_text(block))
    if isinstance(block, content.Links):
        return "\n".join(f"- [{escaped(name)}]({_address(url)})" for name, url in block.links)
    return escaped(block.text)


def _address(url: str) -> str:
    """A web address as the target of a link, which ends at its first bracket."""
    return url.replace("(", "%28").replace(")", "%29")


def _item(item: Item) -> str:
    return f"**{escaped(item.lead)}:** {escaped(item.text)}" if item.lead else escaped(item.text)


def _table(block: content.Table) -> str:
    lines = [_line(block.header), "|" + " --- |" * len(block.header), *map(_line, block.rows)]
    table = "\n".join(lines)
    return f"{escaped(block.folded)}:\n\n{table}" if block.folded else table


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def _fenced(text: str) -> str:
    """Verbatim between fences that are longer than any in the text."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
