# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.recorded.table [--check]``: writes the pages about the causes of a halt."""

from __future__ import annotations

import sys

from tests.recorded.start import start

if __name__ == "__main__":
    sys.exit(start("tabulator"))
