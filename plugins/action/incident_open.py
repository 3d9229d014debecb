# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First step of every incident: may this run go on, and over which hosts."""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
import socket
import typing as t

from ansible import context
from ansible.utils.vars import load_extra_vars
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import (
    ControllerAction,
    Refusal,
    now,
    plain,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.text import clean

SHARED_VARIABLES = frozenset(
    {
        "incident_approve",
        "incident_break_glass_reason",
        "incident_break_lock",
        "incident_chain_id",
        "incident_evidence",
        "incident_fail_on",
        "incident_halt_is_over",
        "incident_halt_is_over_reason",
        "incident_host_deadline",
        "incident_node_binary",
        "incident_node_home",
        "incident_node_rpc",
        "incident_node_unit",
        "incident_record_dir",
        "incident_record_host",
        "incident_record_host_dir",
        "incident_reference_ca_path",
        "incident_reference_deadline",
        "incident_reference_discover",
        "incident_reference_rpcs",
        "incident_reference_validate_certs",
        "incident_target",
        "incident_validator_address",
    }
)
ADDRESS = re.compile(r"^[0-9A-F]{40}$")


def wrong_names(names: t.Iterable[str], incident: str) -> list[str]:
    """Variables that look like ours and are not: a misspelt ``incident_aprove`` must not pass in silence."""
    mine = ("incident_", f"{incident}_")
    return sorted({name for name in names if name.startswith(mine) and name not in SHARED_VARIABLES})


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "incident": {"type": "str", "required": True},
        "target": {"type": "str", "required": True},
        "hosts": {"type": "list", "elements": "str", "required": True},
        "observed": {"type": "list", "elements": "str", "required": True},
        "record_dir": {"type": "path"},
        "evidence": {"type": "path"},
        "approve": {"type": "raw"},
        "halt_is_over": {"type": "raw"},
        "halt_is_over_reason": {"type": "raw"},
        "endpoints": {"type": "list", "elements": "str"},
        "chain_id": {"type": "str"},
    }

    def step(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        refuse_partial_runs(self._loader)
        hostvars = task_vars["hostvars"]
        replay = args["evidence"] is not None
        if replay and args["approve"] is not None:
            raise Refusal(
                "incident_evidence and incident_approve were both given. Saved evidence is the past: a plan made from it "
                "cannot be carried out. Run again without incident_evidence, and approve the plan that run prints."
            )
        rpc_only = args["endpoints"] is not None and not replay
        if rpc_only and args["approve"] is not None:
            raise Refusal(
                "incident_approve was given, and this playbook asks RPC endpoints only: it plans no steps and acts on no host. "
                "Approve the plan of chain_halt with chain_halt."
            )
        if rpc_only and not args["endpoints"]:
            raise Refusal(
                "incident_reference_rpcs is empty. Name one RPC endpoint or more: -e incident_reference_rpcs=URL,URL"
            )
        named = [part for part in re.split(r"[,:\s]+", args["target"]) if part and part[0] not in "!&"]
        if not (replay or rpc_only) and not named:
            raise Refusal("incident_target is empty. Name a group or hosts; nothing stands for all of them.")
        if not (replay or rpc_only) and not args["hosts"]:
            groups = ", ".join(sorted(set(task_vars["groups"]) - {"all", "ungrouped"})) or "none"
            raise Refusal(
                f"incident_target '{args['target']}' names no host of this inventory (its groups: {groups}). "
                "Give the inventory with -i, or name a group or hosts with -e incident_target=..."
            )
        names: set[str] = set(task_vars)
        for host in task_vars["groups"]["all"]:
            names.update(hostvars[host])
        wrong = wrong_names(names, args["incident"])
        if wrong:
            known = ", ".join(sorted(SHARED_VARIABLES))
            raise Refusal(f"Unknown variable: {', '.join(wrong)}. Known are: {known}.")
        facts = {
            "run": f"run-{secrets.token_hex(4)}",
            "incident": args["incident"],
            "started_at": now(),
            "who": f"{getpass.getuser()}@{socket.gethostname()}",
            "controller_pid": os.getppid(),
            "check_mode": bool(self._task.check_mode),
            "replay": replay,
            "rpc_only": rpc_only,
            "target": args["target"],
            # Ansible's workers stay where the command was typed, wherever the playbook lies; PWD may be another's.
            "record_dir": args["record_dir"] or os.path.join(os.getcwd(), "incidents"),
            "approve": plain(args["approve"]),
        }
        said = statement(plain(args["halt_is_over"]), plain(args["halt_is_over_reason"]))
        bundle = _bundle.with_said(self._first_bundle(args, task_vars, replay), said)
        bundle = with_chain(bundle, plain(args["chain_id"]))
        state = RunState.create(facts)
        state.keep("bundle", bundle)
        return {
            "run": facts["run"],
            "run_dir": state.path,
            "who": facts["who"],
            "replay": replay,
            "rpc_only": rpc_only,
            "play_hosts": ["localhost"] if replay or rpc_only else args["observed"],
        }

    def _first_bundle(self, args: dict[str, t.Any], task_vars: dict[str, t.Any], replay: bool) -> dict[str, t.Any]:
        if replay:
            return self._saved_bundle(args)
        hostvars = task_vars["hostvars"]
        observed = set(args["observed"])
        inventory: dict[str, t.Any] = {}
        unseen = []
        for host in task_vars["groups"]["all"]:
            address = hostvars[host].get("incident_validator_address")
            if address is not None:
                address = str(address).strip().upper()
                if not ADDRESS.match(address):
                    raise Refusal(
                        f"incident_validator_address of {host} is not a consensus address (40 hex digits). "
                        "'virtengine status' on that host shows it as validator_info.address."
                    )
            if host in observed or address:
                inventory[host] = {
                    "address": address,
                    "target": host in args["hosts"],
                    "observed": host in observed,
                    "groups": sorted(set(plain(hostvars[host].get("group_names") or [])) - {"all", "ungrouped"}),
                }
            else:
                unseen.append(host)
        bundle: dict[str, t.Any] = _bundle.new(args["incident"], now(), inventory, sorted(unseen))
        return bundle

    @staticmethod
    def _saved_bundle(args: dict[str, t.Any]) -> dict[str, t.Any]:
        path = args["evidence"]
        try:
            if os.path.getsize(path) > 64 * 1024 * 1024:
                raise Refusal(f"{path} is larger than 64 MB: this is no evidence bundle.")
            with open(path, encoding="utf-8") as stream:
                loaded = json.load(stream)
            bundle: dict[str, t.Any] = _bundle.check(loaded)
        except OSError as error:
            raise Refusal(f"Cannot read incident_evidence {path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise Refusal(f"incident_evidence {path} is not an evidence bundle: {error}") from error
        if bundle["incident"] != args["incident"]:
            raise Refusal(f"{path} is evidence of '{bundle['incident']}', not of '{args['incident']}'.")
        return bundle


def with_chain(bundle: dict[str, t.Any], name: str | None) -> dict[str, t.Any]:
    """The bundle with the declared chain id in it, where one is declared. Refusal where it is none."""
    try:
        found: dict[str, t.Any] = _bundle.with_chain(bundle, name)
    except _bundle.BadEvidence as error:
        raise Refusal(
            f"incident_chain_id {clean(name, 60)!r} {error.what}. Give the chain id as the genesis file has it, or leave "
            "it out. Nothing was done."
        ) from error
    return found


def statement(height: t.Any, reason: t.Any) -> dict[str, t.Any] | None:
    """What a person says about a halt height, for the bundle; None where nothing is said. Refusal where it is not clear."""
    if height is None and reason is None:
        return None
    if height is None or reason is None:
        missing = "incident_halt_is_over_reason" if reason is None else "incident_halt_is_over"
        raise Refusal(
            f"{missing} is missing. To say that a halt is over, give both: -e incident_halt_is_over=<the halt height> "
            "-e \"incident_halt_is_over_reason='who said so'\". Nothing was done."
        )
    digits = str(height).strip()
    if isinstance(height, (bool, float)) or not re.fullmatch(r"[1-9][0-9]{0,17}", digits):
        raise Refusal(
            f"incident_halt_is_over is {clean(height, 40)!r}, which is no height. Give the halt height that the "
            "configuration names, as a number such as 221. Nothing was done."
        )
    words = clean(reason, _bundle.MAX_REASON) if isinstance(reason, str) else ""
    if not words:
        raise Refusal(
            "incident_halt_is_over_reason is empty or no text. Say in a few words who called the halt over. Nothing was "
            "done."
        )
    return {"halt_is_over": int(digits), "reason": words}


def refuse_partial_runs(loader: t.Any) -> None:
    """Refuse what would cut the gate, the evidence or a guard out of the run, or stand in for what the run found out."""
    options = context.CLIARGS
    if options.get("subset"):
        raise Refusal(
            f"--limit '{options['subset']}' would hide hosts from the diagnosis. Run without it; to say which hosts "
            f"may be acted on, use -e incident_target={options['subset']}. Hosts of the groups validators and sentries "
            "are observed either way."
        )
    tags = set(options.get("tags") or ()) - {"all"}
    # No task has a tag but this one, so the name of another tag skips nothing.
    if tags or set(options.get("skip_tags") or ()) & {"all", "always", "tagged", "untagged"}:
        raise Refusal("--tags and --skip-tags would cut steps out of the run. Run without them.")
    if options.get("step"):
        raise Refusal("--step would let a guard be passed over. Run without it.")
    given = load_extra_vars(loader)
    if "_raw_params" in given:
        raise Refusal(
            f"An extra variable has a value with blanks, and Ansible cut it before '{given['_raw_params']}'. Such a value "
            "needs quotes of its own inside those of the shell: -e \"name='two words'\"."
        )
    inner = sorted(name for name in given if name.startswith("_"))
    if inner:
        raise Refusal(f"{', '.join(inner)}: names that begin with _ are the run's own. Run without them.")
    if options.get("start_at_task"):
        raise Refusal("--start-at-task would cut the evidence out of the run. Run without it.")
