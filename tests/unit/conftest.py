# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How unit tests run: examples without a deadline, what takes long on one ansible-core only or in a stage of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes is the machine's affair: on one with other work it would be a failure without a fault.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

# ``verdict`` and ``render`` run on both: they show that the other core's Python decides alike. So does what a module or
# an action plugin is asked by Ansible itself.
ONCE = (
    "plugin_utils/_incidents/chain_halt/causes/",
    "plugin_utils/_incidents/chain_halt/plan/",
    "recorded/",
    "plugin_utils/_chain/probe/test_fan_out.py",
    "module_utils/_host/test_http_many.py",
    "plugin_utils/_chain/probe/test_probe.py",
    "module_utils/_cometbft/test_gather.py",
    "module_utils/_cometbft/test_hostile.py",
    "module_utils/_host/test_json.py",
    "module_utils/_node/test_config.py",
    "module_utils/_node/test_halt_height.py",
    "module_utils/_host/test_journal.py",
    "module_utils/_logs/",
    "module_utils/_node/test_p2p.py",
    "module_utils/_host/test_systemd.py",
    "module_utils/_node/test_upgrade.py",
    "module_utils/_node/test_wal",
    "plugin_utils/_incidents/chain_halt/verdict/test_hostile.py",
)
# What waits for deadlines, sends megabytes or loses evidence in thousands of ways: the stage ``deep``, once.
DEEP = (
    "plugin_utils/_incidents/chain_halt/causes/test_properties.py",
    "plugin_utils/_incidents/chain_halt/verdict/test_properties.py",
    "plugin_utils/_chain/probe/test_fan_out.py",
    "module_utils/_host/test_http_many.py",
    "plugin_utils/_incidents/chain_halt/plan/test_cures.py::test_hostile_evidence_never_raises_and_never_stops_a_node",
    "plugin_utils/_incidents/chain_halt/plan/test_cures.py::test_no_plan_breaks_the_rules",
    "module_utils/_logs/test_compress.py::test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes",
    "module_utils/_node/test_wal_copy.py::test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes",
    "module_utils/_cometbft/test_hostile.py::test_ten_megabytes_in_every_answer_cost_less_than_a_hundred",
    "module_utils/_cometbft/test_hostile.py::test_no_damage_raises_or_hides",
    "plugin_utils/_incidents/chain_halt/verdict/test_hostile.py::test_no_value_anywhere_makes_it_raise_or_heal",
    "recorded/test_replay.py::test_one_loss_makes_nothing_better",
    "recorded/test_replay.py::test_a_part_lost_on_all_hosts_makes_nothing_better",
    "recorded/test_replay.py::test_any_losses_together_make_nothing_better",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs once, and what runs in the stage of its own."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        name = f"{item.path.relative_to(here).as_posix()}::{getattr(item, 'originalname', item.name)}"
        if name.startswith(ONCE):
            item.add_marker(pytest.mark.one_core)
        if name.startswith(DEEP):
            item.add_marker(pytest.mark.deep)
