# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An empty registry for the steps under test: to be deleted as soon as the incidents import again."""

from __future__ import annotations

import sys
import types

_NAME = "ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.registry"
_EMPTY = types.ModuleType(_NAME)
vars(_EMPTY).update(incident=None, variables=None)
sys.modules[_NAME] = _EMPTY
