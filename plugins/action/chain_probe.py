# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask many RPC endpoints at once, from the controller; nothing is changed anywhere."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.probe import fan_out
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import (
    ControllerAction,
    Refusal,
    now,
    plain,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle

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
        "look": {"type": "int", "default": 1},
        "delay": {"type": "int", "default": 0},
        "after": {"type": "str"},
        "show": {"type": "bool", "default": False},
    }

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        # Ansible's tagged texts become plain ones: sockets, patterns and hashes see them a million times.
        args = plain(args)
        _refuse(args)
        if not args["endpoints"]:
            return {"skipped": True, "skip_reason": "No endpoint is given.", **fan_out.NOTHING}
        order = fan_out.Order(
            endpoints=args["endpoints"],
            chain_id=args["chain_id"],
            discover=args["discover"],
            discover_limit=args["discover_limit"],
            deadline_s=args["deadline"],
            parallel=args["parallel"],
            validate_certs=args["validate_certs"],
            ca_path=args["ca_path"],
            look=args["look"],
        )
        time.sleep(_wait_s(args["delay"], args["after"]))
        try:
            found = fan_out.probe(order, self._display.display)
        except ValueError as error:
            raise Refusal(f"endpoints: {error}") from None
        if args["show"]:
            self.say(["", "WHAT RPC SHOWS", *(f"  {line}" for line in found["summary"])])
        return found


def _wait_s(delay: int, after: str | None) -> float:
    """Seconds until ``delay`` of them lie behind ``after`` (a time by this controller's clock), or all of them."""
    since = bundle.seconds(after)
    passed = 0.0 if since is None else (bundle.seconds(now()) or since) - since
    # A clock that was set back meanwhile makes it no longer.
    return min(max(delay - passed, 0.0), float(delay))


def _refuse(args: dict[str, t.Any]) -> None:
    """Refuse options that make no sense, with the sentence that says what to do."""
    if args["discover"] and not args["endpoints"]:
        raise Refusal("discover needs at least one endpoint to begin with. Name one in endpoints.")
    if len(args["endpoints"]) > MOST_ENDPOINTS:
        raise Refusal(f"endpoints names {len(args['endpoints'])}, and {MOST_ENDPOINTS} are the most.")
    for name, low, high in (
        ("discover_limit", 1, MOST_DISCOVERED),
        ("parallel", 1, 256),
        ("look", 1, 1000000),
        ("delay", 0, 300),
    ):
        if not low <= args[name] <= high:
            raise Refusal(f"{name} must be from {low} to {high}.")
    if args["after"] and bundle.seconds(args["after"]) is None:
        raise Refusal("after must be a time such as 2026-01-30T12:00:00Z.")
    if not 1 <= args["deadline"] <= 300:
        raise Refusal("deadline must be from 1 to 300 seconds.")
