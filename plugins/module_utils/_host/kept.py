# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name under which a step keeps a file that it replaces. PRIVATE to the collection."""

from __future__ import annotations

import re

from .parts import clean

DIGEST = "[a-z][a-z0-9_]{0,40}-[0-9a-f]{16}"


def kept_name(name: str, digest: str) -> str:
    """What ``name`` is kept as under the plan that was approved with this digest. Raises ValueError."""
    if not re.fullmatch(DIGEST, digest):
        raise ValueError(
            f"digest is {clean(digest, 80)!r}, which is not the digest of a plan, such as chain_halt-0123456789abcdef. "
            "Nothing was done."
        )
    return f"{name}.incident-{digest}"
