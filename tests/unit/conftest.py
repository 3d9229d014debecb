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

# What runs on hosts runs with their Python and no ansible-core, and what a stranger's text may do is tried in hundreds of
# ways: one core is enough. ``verdict`` and ``render`` run on both: they show that the other core's Python decides alike.
ONCE = (
    "fleet/",
    "module_utils/",
    "plugin_utils/_chain/probe/test_fan_out.py",
    "plugin_utils/_chain/probe/test_probe.py",
    "plugin_utils/_chain/probe/test_probe_screen.py",
    "plugin_utils/_chain/test_by_hand.py",
    "plugin_utils/_incidents/chain_halt/causes/",
    "plugin_utils/_incidents/chain_halt/plan/",
    "plugin_utils/_incidents/chain_halt/verdict/test_hostile.py",
    "plugin_utils/_path/evidence/test_bundle.py",
    "recorded/",
    "tools/",
)
# But for a module as Ansible itself calls it.
BOTH = (
    "module_utils/_cometbft/test_modules.py",
    "module_utils/_node/test_acting.py",
    "module_utils/_node/test_stopping.py",
)
# What waits for deadlines, sends megabytes, starts a program for each of many cases, or tries hundreds of shapes or losses of
# evidence: the stage ``deep``, once.
DEEP = (
    "tools/",
    "recorded/test_confusion.py",
    "recorded/test_replay.py::test_verdict_and_plan_take_milliseconds",
    "plugin_utils/_chain/probe/test_action.py",
    "plugin_utils/_controller/test_deadline.py::test_a_timeout_of_the_task_still_rings",
    "plugin_utils/_controller/test_deadline.py::test_the_ssh_that_still_waits_is_ended",
    "plugin_utils/_path/render/test_chart.py::test_no_text_of_a_stranger_becomes_markup",
    "module_utils/_cometbft/test_hostile.py::test_a_byte_now_and_then_does_not_stretch_the_deadline",
    "module_utils/_cometbft/test_hostile.py::test_no_damage_raises_or_hides",
    "module_utils/_cometbft/test_hostile.py::test_one_hostile_answer_is_one_clear_error",
    "module_utils/_cometbft/test_hostile.py::test_ten_megabytes_in_every_answer_cost_less_than_a_hundred",
    "module_utils/_cometbft/test_modules.py::test_info_of_a_silent_node_is_no_failure",
    "module_utils/_cometbft/test_modules.py::test_waiting_for_a_node_that_comes_up_late",
    "module_utils/_cometbft/test_modules.py::test_waiting_in_vain_is_no_failure",
    "module_utils/_cometbft/test_modules.py::test_wrong_options_fail_in_one_sentence",
    "module_utils/_host/test_http_many.py",
    "module_utils/_logs/test_compress.py::test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes",
    "module_utils/_node/test_node.py::test_the_deadline_holds_when_systemd_and_the_rpc_hang",
    "module_utils/_node/test_wal_copy.py::test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes",
    "plugin_utils/_chain/probe/test_fan_out.py",
    "plugin_utils/_chain/probe/test_probe.py::test_a_silent_endpoint_changes_nothing_but_the_count",
    "plugin_utils/_chain/probe/test_probe.py::test_nothing_breaks_it_and_order_does_not_matter",
    "plugin_utils/_chain/probe/test_probe_screen.py::test_it_always_fits",
    "plugin_utils/_chain/test_by_hand.py::test_whatever_a_host_says_no_command_gets_another_word",
    "plugin_utils/_incidents/chain_halt/causes/test_properties.py",
    "plugin_utils/_incidents/chain_halt/plan/test_remedies.py::test_hostile_evidence_never_raises_and_never_stops_a_node",
    "plugin_utils/_incidents/chain_halt/plan/test_remedies.py::test_no_plan_breaks_the_rules",
    "plugin_utils/_incidents/chain_halt/plan/test_remedies_walk.py::test_a_statement_changes_no_other_plan_and_no_verdict",
    "plugin_utils/_incidents/chain_halt/plan/test_steps.py::test_hostile_answers_never_raise",
    "plugin_utils/_incidents/chain_halt/verdict/test_hostile.py::test_many_wrong_values_at_once",
    "plugin_utils/_incidents/chain_halt/verdict/test_hostile.py::test_no_value_anywhere_makes_it_raise_or_heal",
    "plugin_utils/_incidents/chain_halt/verdict/test_properties.py",
    "plugin_utils/_path/record/test_timeline.py::test_entries_of_another_shape_are_told_all_the_same",
    "plugin_utils/_path/render/test_report.py::test_no_text_of_a_stranger_becomes_markup",
    "recorded/test_replay.py::test_a_part_lost_on_all_hosts_makes_nothing_better",
    "recorded/test_replay.py::test_any_losses_together_make_nothing_better",
    "recorded/test_replay.py::test_one_loss_makes_nothing_better",
    "recorded/test_replay.py::test_the_same_bundle_gives_the_same_verdict_and_digest",
    "recorded/test_replay.py::test_verdict_and_plan_take_milliseconds",
    "walk/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs once, and what runs in the stage of its own."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        name = f"{item.path.relative_to(here).as_posix()}::{getattr(item, 'originalname', item.name)}"
        if name.startswith(ONCE) and not name.startswith(BOTH):
            item.add_marker(pytest.mark.one_core)
        if name.startswith(DEEP):
            item.add_marker(pytest.mark.deep)
