# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person may state about a halt, and how it is checked."""

from __future__ import annotations

import re
import typing as t

from ..._chain import variables
from ..._path.incident import Data, Misuse, Values
from ..._path.text import clean

IS_OVER = "incident_halt_is_over"
IS_OVER_REASON = "incident_halt_is_over_reason"

VARIABLES = variables.REFERENCE_VARIABLES | {variables.CHAIN_ID, IS_OVER, IS_OVER_REASON}
HOST_VARIABLES = variables.NODE_VARIABLES

MAX_REASON = 300

_HEIGHT = re.compile(r"[1-9][0-9]{0,17}")


def settings(values: Values) -> Data:
    """What evidence keeps of the variables of a halt. Misuse where one makes no sense."""
    return {**variables.chain_id(values), **_is_over(values.get(IS_OVER), values.get(IS_OVER_REASON))}


def _is_over(height: t.Any, reason: t.Any) -> Data:
    """What a person states about a halt height: the height and who says so, or nothing."""
    if height is None and reason is None:
        return {}
    if height is None or reason is None:
        missing = IS_OVER_REASON if reason is None else IS_OVER
        raise Misuse(
            f"{missing} is missing. To say that a halt is over, give both: -e {IS_OVER}=<the halt height> "
            f"-e \"{IS_OVER_REASON}='who said so'\"."
        )
    digits = str(height).strip()
    if isinstance(height, (bool, float)) or not _HEIGHT.fullmatch(digits):
        raise Misuse(
            f"{IS_OVER} is {clean(height, 40)!r}, which is no height. Give the halt height that the configuration names, "
            "as a number such as 221."
        )
    words = clean(reason, MAX_REASON) if isinstance(reason, str) else ""
    if not words:
        raise Misuse(f"{IS_OVER_REASON} is empty or no text. Say in a few words who called the halt over.")
    return {IS_OVER: int(digits), IS_OVER_REASON: words}
