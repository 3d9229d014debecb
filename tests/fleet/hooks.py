# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault hooks of the chain's binary: ``<home>/config/faults.json``, read by the node at every block."""

from __future__ import annotations

import json
import os

from tests.fleet import image
from tests.fleet.host import Box


def change(box: Box, key: str, value: int | None) -> None:
    """Set one hook of a node, or take it away; the file is replaced whole, a node never reads half of it."""
    path = box.home / "config/faults.json"
    values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    values.pop(key, None)
    if value is not None:
        values[key] = value
    if not values:
        path.unlink(missing_ok=True)
        return
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values), encoding="utf-8")
    os.chown(part, image.NODE_UID, image.NODE_UID)
    part.replace(path)
