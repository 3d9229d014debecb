# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incident that is nobody's, as an object: it lies below ``walk/lamp`` as an incident of the collection would."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Incident

_FILE = Path(__file__).parent / "walk/lamp/plugins/plugin_utils/_incidents/lamp/incident.py"


def _load() -> Incident:
    spec = importlib.util.spec_from_file_location("lamp_incident", _FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Incident = module.LAMP
    return made


LAMP = _load()
SOURCE = "lamp_evidence"
# What the API shows of a lamp that is off, and nothing stands in the way of turning it on.
DARK = {"on": False, "mains": True, "boot": 7, "since": "2026-05-04T10:02:03Z"}
