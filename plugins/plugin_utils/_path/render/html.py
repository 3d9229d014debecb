# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one HTML file that opens from disk: no script, nothing loaded, every text escaped. PRIVATE."""

from __future__ import annotations

import html as _html
import itertools
import typing as t

from . import chart, content
from .plan import Item

_STYLE = """
body{font:15px/1.45 sans-serif;color:#111;background:#fff;max-width:1080px;margin:1.5em auto;padding:0 1em}
h1{font-size:1.5em;margin:0}h2{font-size:1.15em;margin:1.8em 0 .5em;border-bottom:2px solid #111;padding-bottom:.15em}
p{margin:.5em 0}p.lead{font-size:1.2em;font-weight:bold}
table{border-collapse:collapse;width:100%;margin:.6em 0;font-size:.92em}
th,td{border:1px solid #999;padding:.28em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:#eee;white-space:nowrap}tr{break-inside:avoid}td.n{text-align:right;white-space:nowrap}
td.t{white-space:nowrap}td.a{font-family:monospace;font-size:.8em;white-space:nowrap}td.w{min-width:13em}
pre{border:1px solid #999;background:#f6f6f6;padding:.6em;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.88em}
ul{margin:.3em 0;padding-left:1.4em}li{overflow-wrap:anywhere}summary{cursor:pointer;font-weight:bold}
"""
_HEAD = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    '<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width">'
)
# Columns set otherwise than text: figures to the right, times unbroken, long names in one width, actions not too narrow.
_KINDS = {"number": "n", "time": "t", "id": "a", "wide": "w"}


def page(record: content.Record) -> str:
    """One self-contained HTML file. No script, nothing loaded from elsewhere, every text escaped.

    ``record``: see ``content.blocks``.
    """
    name = _html.escape(content.title(record))
    parts = [f"{_HEAD}<title>{name}</title><style>{_STYLE}</style></head>\n<body><h1>{name}</h1>"]
    lead = True
    for block in content.blocks(record):
        if lead and isinstance(block, content.Paragraph):
            parts.append(f'<p class="lead">{_html.escape(block.text)}</p>')
            lead = False
        else:
            parts.append(_block(block))
    parts.append("</body></html>")
    return "\n".join(parts) + "\n"


def _block(block: content.Block) -> str:
    if isinstance(block, content.Heading):
        return f"<h2>{_html.escape(block.text)}</h2>"
    if isinstance(block, content.Items):
        return "<ul>" + "".join(f"<li>{_item(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, content.Table):
        return _table(block)
    if isinstance(block, content.Verbatim):
        return f"<pre>{_html.escape(block.text)}</pre>"
    if isinstance(block, content.Picture):
        return chart.svg(block.gauge, block.rows)
    if isinstance(block, content.Links):
        links = (
            f'<li><a href="{_html.escape(url)}">{_html.escape(name)}</a> {_html.escape(url)}</li>'
            for name, url in block.links
        )
        return "<ul>" + "".join(links) + "</ul>"
    return f"<p>{_html.escape(block.text)}</p>"


def _item(item: Item) -> str:
    lead = f"<b>{_html.escape(item.lead)}:</b> " if item.lead else ""
    return lead + _html.escape(item.text)


def _table(block: content.Table) -> str:
    head = "".join(f"<th>{_html.escape(name)}</th>" for name in block.header)
    rows = "\n".join("<tr>" + "".join(_cells(block.kinds, row)) + "</tr>" for row in block.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return f"<details><summary>{_html.escape(block.folded)}</summary>{table}</details>" if block.folded else table


def _cells(kinds: tuple[str, ...], row: tuple[str, ...]) -> t.Iterator[str]:
    for kind, text in itertools.zip_longest(kinds, row, fillvalue=""):
        css = f' class="{_KINDS[kind]}"' if kind in _KINDS else ""
        yield f"<td{css}>{_html.escape(text)}</td>"
