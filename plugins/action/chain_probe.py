# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask many RPC endpoints at once, from the controller; nothing is changed anywhere."""

from __future__ import annotations

import time
import typing as t

from ..plugin_utils._chain.probe import fan_out
from ..plugin_utils._controller import looks
from ..plugin_utils._controller.base import ControllerAction, Refusal, plain
from ..plugin_utils._controller.state import RunState

SOURCE = "cometbft_info"
MOST_ENDPOINTS = 5000
MOST_DISCOVERED = 2000


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "endpoints": {"type": "list", "elements": "str", "default": []},
        "chain_id": {"type": "str"},
        "discover": {"type": "bool", "default": False},
        "discover_limit": {"type": "int", "default": 100},
        "deadline": {"type": "float", "default": 10},
        "parallel": {"type": "int", "default": 64, "aliases": ["forks"]},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "run_dir": {"type": "path"},
        "show": {"type": "bool", "default": False},
    }

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        # Ansible's tagged texts become plain ones: sockets, patterns and hashes see them a million times.
        args = plain(args)
        _refuse(args)
        if not args["endpoints"]:
            return {"skipped": True, "skip_reason": "No endpoint is given.", **fan_out.NOTHING}
        state = RunState(args["run_dir"]) if args["run_dir"] else None
        look = looks.current(state)["number"] if state else 1
        if state is not None:
            time.sleep(looks.pause_left_s(state, SOURCE, SOURCE))
        order = fan_out.Order(
            endpoints=args["endpoints"],
            chain_id=args["chain_id"],
            discover=args["discover"],
            discover_limit=args["discover_limit"],
            deadline_s=args["deadline"],
            parallel=args["parallel"],
            validate_certs=args["validate_certs"],
            ca_path=args["ca_path"],
            look=look,
        )
        try:
            result = fan_out.probe(order, self._display.display)
        except ValueError as error:
            raise Refusal(f"endpoints: {error}") from None
        if args["show"]:
            self.say(["", "WHAT RPC SHOWS", *(f"  {line}" for line in result["summary"])])
        if state is None:
            return result
        # A thousand observations go through the run's state; through Ansible's own processes they would take seconds.
        looks.note(state, SOURCE, result.pop("observations"))
        return result


def _refuse(args: dict[str, t.Any]) -> None:
    """Refuse options that make no sense, with the sentence that says what to do."""
    if args["discover"] and not args["endpoints"]:
        raise Refusal("discover needs at least one endpoint to begin with. Name one in endpoints.")
    if len(args["endpoints"]) > MOST_ENDPOINTS:
        raise Refusal(f"endpoints names {len(args['endpoints'])}, and {MOST_ENDPOINTS} are the most.")
    for name, low, high in (
        ("discover_limit", 1, MOST_DISCOVERED),
        ("parallel", 1, 256),
    ):
        if not low <= args[name] <= high:
            raise Refusal(f"{name} must be from {low} to {high}.")
    if not 1 <= args["deadline"] <= 300:
        raise Refusal("deadline must be from 1 to 300 seconds.")
