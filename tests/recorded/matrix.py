# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.recorded.matrix [--losses N] [--seed S]``: the confusion matrix of all kept bundles."""

from __future__ import annotations

import sys

from tests.recorded.start import start

if __name__ == "__main__":
    sys.exit(start("confusion"))
