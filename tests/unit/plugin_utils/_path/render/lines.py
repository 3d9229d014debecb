# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every line of a screen has to be, and the text of strangers that is thrown at it."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples

UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

HOSTILE = (
    st.text(max_size=400)
    | st.just(samples.HOSTILE)
    | st.text(alphabet="\u5bbf\u0301\u202ea\x1b", max_size=400)
    | st.sampled_from(["{{ lookup('pipe', 'id') }}", "x" * 400, "\u5bbf" * 200, "a\n\nb", "</pre><script>", ""])
)


def columns(line: str) -> int:
    """The width of a line, as a terminal that draws wide signs over two columns gives it."""
    return sum(
        0 if unicodedata.category(sign) in ("Mn", "Me") else 1 + (unicodedata.east_asian_width(sign) in ("W", "F"))
        for sign in line
    )


def fits(lines: list[str]) -> bool:
    """At most 100 columns each, and no sign that is not seen."""
    return all(
        columns(line) <= 100 and not any(unicodedata.category(sign) in UNSEEN for sign in line) for line in lines
    )


def section(lines: list[str], title: str) -> list[str]:
    """The lines from the one that begins with ``title`` to the next empty one."""
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    end = next((number for number in range(start, len(lines)) if lines[number] == ""), len(lines))
    return lines[start:end]
