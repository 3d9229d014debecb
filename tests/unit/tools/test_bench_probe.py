# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measuring of the probe hands to the verdict is evidence that the verdict takes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import jinja2
import yaml
from ansible_collections.virtengine.incident.plugins.filter.assess import FilterModule

from tools import bench_probe, places


def test_the_verdict_takes_what_is_measured() -> None:
    saved = json.loads((places.REPO / "tests/data/bundles/composed-behind.json").read_text(encoding="utf-8"))
    (play,) = yaml.safe_load(bench_probe.PROBE.replace("@DEADLINE@", "10"))
    environment = jinja2.Environment(autoescape=True)
    environment.filters["virtengine.incident.assess"] = FilterModule().filters()["assess"]
    text = play["tasks"][1]["ansible.builtin.debug"]["msg"]
    seen = [entry for entry in saved["observations"] if entry["source"] == "cometbft_info"]
    assert seen
    said = environment.from_string(text).render(probe=SimpleNamespace(answered=3, observations=seen))
    assert said.startswith("answered=3 verdict=")
