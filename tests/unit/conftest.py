# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How unit tests run: examples without a deadline, what an ansible-core could change on each, what takes long by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes is the machine's affair: on one with other work it would be a failure without a fault.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

# What an ansible-core or its Python could change runs on each of them: what imports Ansible or is called by it, and one
# verdict and plan of every recorded case, which show that the other Python decides alike.
EACH_CORE = (
    "action/",
    "module_utils/_cometbft/test_modules.py",
    "module_utils/_node/test_acting.py",
    "module_utils/_postgresql/test_modules.py",
    "module_utils/_node/test_stopping.py",
    "plugin_utils/_controller/",
    "plugin_utils/_incidents/chain_halt/plan/test_filter.py",
    "plugin_utils/_path/render/test_command.py",
    "plugin_utils/_path/render/test_layout.py",
    "plugin_utils/_path/render/test_screen.py",
    "recorded/test_replay.py::test_the_verdict_and_plan_are_those_of_the_case",
    "test_shape.py::test_every_module_is_documented_with_everything_else_deleted",
    "test_shape.py::test_every_plugin_imports_with_everything_else_deleted",
    "test_shape.py::test_every_role_is_documented_with_everything_else_deleted",
    "test_shape.py::test_playbooks_are_found_by_full_name_with_everything_else_deleted",
)
# What waits for deadlines, sends megabytes, starts a program for each of many cases, or tries hundreds of shapes or losses of
# evidence: the stage ``deep``, once. So does every property test (hypothesis), without being named here.
DEEP = (
    "action/test_act.py::test_a_host_that_is_lost_or_late_is_an_answer",
    "action/test_observe.py::test_a_host_that_hangs_is_late",
    "action/test_observe.py::test_a_host_that_hangs_when_asked_for_locks_has_given_its_evidence",
    "module_utils/_cometbft/test_gather.py::test_a_node_inside_a_block_answers_what_needs_no_lock",
    "module_utils/_cometbft/test_gather.py::test_a_silent_rpc_is_late_in_every_part",
    "module_utils/_node/test_node.py::test_parts_fail_alone_and_in_time",
    "module_utils/_node/test_p2p.py::test_an_open_a_closed_and_a_silent_port",
    "plugin_utils/_incidents/chain_halt/test_screen.py::test_no_screen_of_a_recorded_fault_is_too_wide",
    "recorded/test_replay.py::test_a_recorded_file_is_small_and_holds_no_secret",
    "tools/",
    "recorded/test_confusion.py",
    "recorded/test_replay.py::test_verdict_and_plan_take_milliseconds",
    "plugin_utils/_chain/probe/test_action.py",
    "plugin_utils/_controller/test_deadline.py::test_a_timeout_of_the_task_still_rings",
    "plugin_utils/_controller/test_deadline.py::test_the_ssh_that_still_waits_is_ended",
    "module_utils/_cometbft/test_hostile.py::test_a_byte_now_and_then_does_not_stretch_the_deadline",
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
    "module_utils/_node/test_halt_height.py::test_killed_before_any_call_it_leaves_a_whole_file_and_the_next_run_finishes",
    "module_utils/_node/test_privilege.py::test_evidence_that_was_late_says_late",
    "module_utils/_node/test_privilege.py::test_one_place_that_is_closed_costs_its_own_part",
    "module_utils/_postgresql/test_masked.py::test_a_megabyte_takes_no_time",
    "module_utils/_postgresql/test_pool.py::test_killed_before_any_call_it_leaves_a_whole_file_and_the_next_run_finishes",
    "plugin_utils/_controller/test_deadline.py::test_late_work_is_an_error",
    "plugin_utils/_incidents/chain_halt/plan/test_remedy_steps.py::test_a_run_killed_after_any_step_resumes_and_finishes",
    "plugin_utils/_incidents/chain_halt/plan/test_walk.py::test_a_run_killed_after_any_step_resumes_and_finishes",
    "recorded/test_privilege.py::test_what_to_add_comes_first_whatever_is_the_matter",
    "plugin_utils/_incidents/chain_halt/causes/test_properties.py",
    "plugin_utils/_incidents/chain_halt/plan/test_remedies_walk.py::test_a_statement_changes_no_other_plan_and_no_verdict",
    "plugin_utils/_incidents/chain_halt/verdict/test_hostile.py::test_no_value_anywhere_makes_it_raise_or_heal",
    "plugin_utils/_incidents/chain_halt/verdict/test_properties.py",
    "recorded/test_replay.py::test_a_part_lost_on_all_hosts_makes_nothing_better",
    "recorded/test_replay.py::test_one_loss_makes_nothing_better",
    "recorded/test_replay.py::test_the_same_bundle_gives_the_same_verdict_and_digest",
    "recorded/test_replay.py::test_verdict_and_plan_take_milliseconds",
    "walk/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on each core, and what runs in the stage of its own."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        name = f"{item.path.relative_to(here).as_posix()}::{getattr(item, 'originalname', item.name)}"
        if name.startswith(EACH_CORE):
            item.add_marker(pytest.mark.each_core)
        if name.startswith(DEEP) or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.deep)
