# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to run once, or in the stage ``deep``, is there: a test that was renamed would run elsewhere unnoticed."""

from __future__ import annotations

import pytest

from tests.unit.conftest import DEEP, EACH_CORE
from tools import places

UNIT = places.REPO / "tests/unit"


@pytest.mark.parametrize("entry", [*DEEP, *EACH_CORE])
def test_it_is_there(entry: str) -> None:
    path, _colons, name = entry.partition("::")
    files = [*UNIT.glob(f"{path}*"), *UNIT.glob(f"{path}*/**/*.py")]
    assert files, path
    assert not name or any(f"def {name}(" in file.read_text(encoding="utf-8") for file in files if file.is_file())
