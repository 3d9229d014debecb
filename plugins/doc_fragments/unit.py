# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that work on the node of a host."""

from __future__ import annotations


class ModuleDocFragment:
    """Which service the node is, and where its home is."""

    DOCUMENTATION = r"""
options:
  unit:
    description:
      - Name of the systemd service of the node.
    type: str
    default: virtengine.service
"""

    HOME = r"""
options:
  home:
    description:
      - Home of the node. By default it is read from the unit.
    type: path
"""
