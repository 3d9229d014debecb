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

from ..plugin_utils._controller.base import ControllerAction, Refusal, now, plain
from ..plugin_utils._controller.state import RunState
from ..plugin_utils._incidents import registry
from ..plugin_utils._path.evidence import bundle as bundles
from ..plugin_utils._path.incident import Incident, Misuse
from ..plugin_utils._path.render import contacts

# Variables that every incident takes.
SHARED_VARIABLES = frozenset(
    {
        "incident_approve",
        "incident_break_glass_reason",
        "incident_break_lock",
        "incident_contacts",
        "incident_dashboards",
        "incident_evidence",
        "incident_fail_on",
        "incident_host_deadline",
        "incident_record_dir",
        "incident_record_host",
        "incident_record_host_dir",
        "incident_target",
    }
)
# Of these each host may have its own.
OF_A_HOST = frozenset({"incident_host_deadline"})
MOST_EVIDENCE = 64 * 1024 * 1024
_NOT_GROUPS = {"all", "ungrouped"}

Data = dict[str, t.Any]


def known_variables() -> frozenset[str]:
    """Every variable that some incident takes: one inventory serves all of them."""
    return SHARED_VARIABLES | registry.variables()


def wrong_names(names: t.Iterable[str], incident: str) -> list[str]:
    """Variables that look like ours and are not: a misspelt ``incident_aprove`` must not pass in silence."""
    mine, known = ("incident_", f"{incident}_"), known_variables()
    return sorted({name for name in names if name.startswith(mine) and name not in known})


class ActionModule(ControllerAction):
    ARGUMENTS: t.ClassVar[Data] = {"incident": {"type": "str", "required": True}}

    def step(self, args: Data, task_vars: Data) -> Data:
        incident = registry.incident(args["incident"])
        refuse_partial_runs(self._loader, incident)
        self._vars = task_vars
        # Looked up once: for Ansible each look-up is a merge of all variables of that host.
        self._of_hosts = {host: task_vars["hostvars"][host] for host in task_vars["groups"]["all"]}
        self._refuse_scattered(incident)
        evidence, approve = self._value("incident_evidence"), approval(incident, self._value("incident_approve"))
        replay = evidence is not None
        refuse_approval(incident, approve, replay)
        names = set(task_vars).union(*self._of_hosts.values())
        wrong = wrong_names(names, incident.name)
        if wrong:
            raise Refusal(f"Unknown variable: {', '.join(wrong)}. Known are: {', '.join(sorted(known_variables()))}.")
        saved = saved_bundle(str(evidence), incident) if replay else None
        try:
            # What is said now goes before what was said beside evidence of then.
            given = {name: value for name in sorted(incident.variables) if (value := self._value(name)) is not None}
            settings = incident.settings({**(saved["settings"] if saved else {}), **given})
            contacts.check(self._value("incident_contacts"), self._value("incident_dashboards"))
        except Misuse as misuse:
            raise Refusal(f"{misuse} Nothing was done.") from misuse
        target, observed = "", list[str]()
        if saved is not None:
            bundle = dict(saved, settings=settings)
        else:
            target, hosts, observed = self._hosts(incident)
            bundle = self._first_bundle(incident, settings, hosts, observed)
        facts = {
            "run": f"run-{secrets.token_hex(4)}",
            "incident": incident.name,
            "started_at": now(),
            "who": f"{getpass.getuser()}@{socket.gethostname()}",
            "controller_pid": os.getppid(),
            "check_mode": bool(self._task.check_mode),
            "replay": replay,
            "target": target,
            # Ansible's workers stay where the command was typed, wherever the playbook lies; PWD may be another's.
            "record_dir": os.path.abspath(os.path.expanduser(str(self._value("incident_record_dir") or "incidents"))),
            "approve": approve,
            "contacts": self._value("incident_contacts") or [],
            "dashboards": self._value("incident_dashboards") or [],
        }
        state = RunState.create(facts)
        state.keep("bundle", bundle)
        return {
            "run": facts["run"],
            "run_dir": state.path,
            "who": facts["who"],
            "replay": replay,
            "observed": observed,
            "approve": approve,
            "play_hosts": observed or ["localhost"],
        }

    def _refuse_scattered(self, incident: Incident) -> None:
        """Refuse a variable of the run that some host has with another value: the run is opened once, for all of them."""
        for name in sorted((SHARED_VARIABLES | incident.variables) - OF_A_HOST):
            for host, values in self._of_hosts.items():
                if name in values and plain(values[name]) != self._value(name):
                    raise Refusal(
                        f"{name} is set for {host} in another way than for the run as a whole. Set it for all hosts "
                        "(group_vars/all) or with -e. Nothing was done."
                    )

    def _value(self, name: str) -> t.Any:
        """A variable of the run as plain data, None where it is not set."""
        return plain(self._templar.template(self._vars[name])) if name in self._vars else None

    def _hosts(self, incident: Incident) -> tuple[str, list[str], list[str]]:
        """The pattern of hosts that may be acted on, these hosts, and all that are observed."""
        if not incident.groups:
            return "", [], []
        groups = self._vars["groups"]
        usual = [name for name in incident.groups if name in groups]
        given = self._value("incident_target")
        target = ":".join(usual or incident.groups[:1]) if given is None else str(given)
        if not [part for part in re.split(r"[,:\s]+", target) if part and part[0] not in "!&"]:
            raise Refusal("incident_target is empty. Name a group or hosts; nothing stands for all of them.")
        hosts = self._named(target)
        if not hosts:
            there = ", ".join(sorted(set(groups) - _NOT_GROUPS)) or "none"
            raise Refusal(
                f"incident_target '{target}' names no host of this inventory (its groups: {there}). "
                "Give the inventory with -i, or name a group or hosts with -e incident_target=..."
            )
        # Two patterns, never one: an exclusion in the target, or a comma, must hide no host from the diagnosis.
        seen = self._named(":".join(usual)) if usual else []
        return target, hosts, list(dict.fromkeys([*seen, *hosts]))

    def _named(self, pattern: str) -> list[str]:
        lookup = self._shared_loader_obj.lookup_loader.get(
            "ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar
        )
        return [str(host) for host in lookup.run([pattern], variables=self._vars)]

    def _first_bundle(self, incident: Incident, settings: Data, hosts: list[str], observed: list[str]) -> Data:
        inventory: dict[str, Data] = {}
        unseen = []
        for host, values in self._of_hosts.items() if incident.groups else ():
            given = {name: plain(values[name]) for name in sorted(incident.host_variables) if name in values}
            try:
                declared = incident.declared(host, given)
            except Misuse as misuse:
                raise Refusal(f"{misuse} Nothing was done.") from misuse
            if host in observed or declared:
                groups = sorted(set(plain(values.get("group_names") or [])) - _NOT_GROUPS)
                inventory[host] = {
                    "declared": declared,
                    "target": host in hosts,
                    "observed": host in observed,
                    "groups": groups,
                }
            else:
                unseen.append(host)
        return bundles.new(incident, now(), inventory, sorted(unseen), settings)


def saved_bundle(path: str, incident: Incident) -> Data:
    """The evidence in a file. Refusal where it is none of this incident."""
    path = os.path.expanduser(path)
    try:
        if os.path.getsize(path) > MOST_EVIDENCE:
            raise Refusal(f"{path} is larger than 64 MB: this is no evidence bundle.")
        with open(path, encoding="utf-8") as stream:
            return bundles.check(json.load(stream), incident)
    except OSError as error:
        raise Refusal(f"Cannot read incident_evidence {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise Refusal(f"incident_evidence {path} is not an evidence bundle: {error}") from error


def approval(incident: Incident, given: t.Any) -> t.Any:
    """The digest that is given back to this incident; one that names another known incident is that one's."""
    name = str(given).strip().rpartition("-")[0]
    others = {known.name for known in registry.known()} - {incident.name}
    return None if name in others else given


def refuse_approval(incident: Incident, approve: t.Any, replay: bool) -> None:
    """Refuse an approval where nothing could be done with it."""
    if approve is None:
        return
    if replay:
        raise Refusal(
            "incident_evidence and incident_approve were both given. Saved evidence is the past: a plan made from it "
            "cannot be carried out. Run again without incident_evidence, and approve the plan that run prints."
        )
    if not incident.acts:
        raise Refusal(
            f"incident_approve was given, and {incident.name} only diagnoses: it plans no steps. Nothing was done."
        )


def refuse_partial_runs(loader: t.Any, incident: Incident) -> None:
    """Refuse what would cut the gate, the evidence or a guard out of the run, or stand in for what the run found out."""
    options = context.CLIARGS
    if options.get("subset"):
        either_way = f" Hosts of {' and '.join(incident.groups)} are observed either way." if incident.groups else ""
        raise Refusal(
            f"--limit '{options['subset']}' would hide hosts from the diagnosis. Run without it; to say which hosts "
            f"may be acted on, use -e incident_target={options['subset']}.{either_way}"
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
