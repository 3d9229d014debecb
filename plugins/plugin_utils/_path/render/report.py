# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The human report of an incident, from its record: HTML that opens from disk, and Markdown. PRIVATE."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import html as _report_html
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import markdown as _report_markdown


def html(record: dict[str, t.Any]) -> str:
    """One self-contained HTML file. No script, nothing loaded from elsewhere, every text of a stranger escaped.

    ``record``: ``id``, ``entries`` (of the journal, oldest first), ``verdict``, ``plan`` (or None) and ``head``
    (hash of the last entry, or None).
    """
    return _report_html.page(record)


def markdown(record: dict[str, t.Any]) -> str:
    """The same content as Markdown, see ``html``."""
    return _report_markdown.page(record)
