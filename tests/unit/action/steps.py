# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a run, called as the role calls them, on hosts that answer what a test wants."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.virtengine.incident.plugins.action import (
    incident_act,
    incident_assess,
    incident_check,
    incident_close,
    incident_gate,
    incident_observe,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller import looks
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import now
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import Record
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.state import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as bundles
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Incident

from tests.unit.lamp import DARK, LAMP, SOURCE

Data = dict[str, t.Any]

SCOPE = "lamp:hall"
SWITCH = "virtengine.incident.lamp_switch"


class Known:
    """The registry, as far as a test fills it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.incidents = {LAMP.name: LAMP}
        monkeypatch.setattr(registry, "incident", self.incidents.__getitem__)
        monkeypatch.setattr(registry, "variables", self._variables)

    def _variables(self) -> frozenset[str]:
        every = self.incidents.values()
        return frozenset().union(*(incident.variables | incident.host_variables for incident in every))


def plugin(module: t.Any, args: Data, variables: Data | None = None, **task: t.Any) -> t.Any:
    """An action plugin as Ansible makes it, for a task with these arguments."""
    loader = DataLoader()
    given = {"args": args, "action": "x", "async_val": 0, "check_mode": False, **task}
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="there"))
    return module.ActionModule(SimpleNamespace(**given), connection, None, loader, Templar(loader, variables or {}))


class Run:
    """One run over one incident: what its tasks would do, in the order in which a test calls it."""

    count = 0

    def __init__(
        self, folder: Path, incident: Incident = LAMP, hosts: t.Sequence[str] = ("api",), **facts: t.Any
    ) -> None:
        Run.count += 1
        self.incident, self.hosts, self.said = incident, list(hosts), list[str]()
        self.name = f"run-{Run.count:08x}"
        given: Data = {
            "run": self.name,
            "incident": incident.name,
            "started_at": now(),
            "who": "ops@laptop",
            "controller_pid": os.getppid(),
            "check_mode": False,
            "replay": False,
            "target": "lamps",
            "record_dir": str(folder),
            "approve": None,
            "contacts": [],
            "dashboards": [],
        }
        self.state = RunState.create({**given, **facts})
        known = {"declared": {}, "target": True, "observed": True, "groups": ["lamps"]}
        self.state.keep("bundle", bundles.new(incident, now(), {host: dict(known) for host in hosts}))

    def call(self, plugin_module: t.Any, variables: Data | None = None, answer: t.Any = None, /, **args: t.Any) -> Data:
        """Run one step. ``answer``: of the module that it runs on a host, as a value or a function of its arguments."""
        step = plugin(plugin_module, {"run_dir": self.state.path, **args}, variables)

        def execute(module_name: str, module_args: Data, task_vars: t.Any) -> Data:
            found: Data = answer(module_name, module_args) if callable(answer) else answer
            return found

        step._execute_module = execute
        step.say = self.said.extend
        result: Data = step.run(task_vars=variables or {})
        return result

    def see(self, host: str = "api", data: t.Any = None, locks: t.Any = (), used: t.Sequence[str] = ()) -> None:
        """Note what a host shows in this look. ``data``: None where it does not answer; ``locks`` as of ``held``."""
        number = looks.current(self.state)["number"]
        head = {"source": SOURCE, "host": host, "look": number, "at": now()}
        lost = {"ok": False, "error": {"kind": "late", "text": "no answer"}}
        looks.note(self.state, host, [{**head, **({"ok": True, "data": data} if data is not None else lost)}])
        if data is not None and locks is not None:
            part = {"ok": True, "data": {"locks": list(locks), "used": list(used)}}
            self.state.note(f"locks{number}", host, looks.locks_of(part))

    def diagnose(self, data: t.Any = None, **seen: t.Any) -> Data:
        """All looks of the diagnosis; all hosts show the same."""
        for _look in range(self.incident.timing.looks):
            for host in self.hosts:
                self.see(host, DARK if data is None else data, **seen)
            answer = self.call(incident_assess)
        return answer

    def gate(self, approve: t.Any = None, reason: str | None = None) -> Data:
        """The gate; ``approve`` as a person gives it."""
        args = {"approve": approve, "break_glass_reason": reason}
        return self.call(incident_gate, **{name: value for name, value in args.items() if value is not None})

    def check(self, phase: str, step: Data | None = None) -> Data:
        return self.call(incident_check, phase=phase, **({"step": step} if step is not None else {}))

    def act(self, module: str, args: Data, host: str = "api", answer: t.Any = None, token: str | None = None) -> Data:
        """One acting call on a host."""
        token = self.state.read("gate")["token"] if token is None else token
        given = {"changed": True} if answer is None else answer
        return self.call(incident_act, {"inventory_hostname": host}, given, token=token, module=module, args=args)

    def take(self, *hosts: str, scopes: t.Sequence[str] = (SCOPE,), **answer: t.Any) -> None:
        """Take the locks on hosts. ``answer``: of the module, where it is not that they are ours."""
        for host in hosts or self.hosts:
            for scope in scopes:
                args = {"state": "acquired", "scope": scope, "owner": self.name}
                self.act("incident_lock", args, host, {"changed": True, "held": True, "held_by": None, **answer})

    def give(self, *hosts: str, scopes: t.Sequence[str] = (SCOPE,), **answer: t.Any) -> None:
        """Give the locks back."""
        for host in hosts or self.hosts:
            for scope in scopes:
                args = {"state": "released", "scope": scope, "owner": self.name}
                self.act("incident_lock", args, host, {"changed": True, "held": False, **answer})

    def held(self, *scopes: str) -> list[Data]:
        """What a host says of locks that this run holds."""
        return [{"scope": scope, "owner": self.name, "who": "ops@laptop", "age_s": 3} for scope in scopes or (SCOPE,)]

    def approved(self, digest: str, **diagnosed: t.Any) -> Data:
        """A run that was approved and holds its locks, before its first step. The answer of the gate."""
        self.diagnose(**diagnosed)
        answer = self.gate(digest)
        assert answer.get("act"), answer
        self.take(scopes=answer["scopes"])
        assert not self.check("lock_first").get("failed")
        assert not self.check("lock").get("failed")
        return answer

    def before(self, step: Data, data: t.Any = None, locks: t.Any = ...) -> Data:
        """One look at all hosts, then the guards of a step."""
        for host in self.hosts:
            self.see(host, DARK if data is None else data, self.held() if locks is ... else locks)
        return self.check("before", step)

    def observe(self, answer: t.Any, host: str = "api", **args: t.Any) -> Data:
        return self.call(incident_observe, {"inventory_hostname": host}, answer, source=SOURCE, **args)

    def close(self, variables: Data | None = None, **args: t.Any) -> Data:
        return self.call(incident_close, variables, **args)

    @property
    def record(self) -> Record:
        return RunState(self.state.path).record()

    def kinds(self) -> list[str]:
        return [entry["kind"] for entry in self.record.entries()]


class Runs:
    """Runs that share a directory of records and a registry; their private directories are gone at the end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.known, self._made = folder, Known(monkeypatch), list[Run]()

    def new(self, incident: Incident = LAMP, hosts: t.Sequence[str] = ("api",), **facts: t.Any) -> Run:
        """A run that has been opened. ``incident`` is what the registry knows by its name from now on."""
        self.known.incidents[incident.name] = incident
        self._made.append(Run(self.folder, incident, hosts, **facts))
        return self._made[-1]

    def planned(self, incident: Incident = LAMP, hosts: t.Sequence[str] = ("api",), **diagnosed: t.Any) -> str:
        """The digest of the plan that another run printed."""
        run = self.new(incident, hosts)
        run.diagnose(**diagnosed)
        digest: str = run.gate()["digest"]
        return digest

    def approved(self, incident: Incident = LAMP, hosts: t.Sequence[str] = ("api",)) -> tuple[Run, list[Data]]:
        """A run that holds its locks, before its first step, and its steps."""
        run = self.new(incident, hosts)
        return run, run.approved(self.planned(incident, hosts))["steps"]

    def end(self) -> None:
        for run in self._made:
            if os.path.isdir(run.state.path):
                run.state.remove()


def changed(incident: Incident = LAMP, **parts: t.Any) -> Incident:
    """The incident with other parts."""
    return dataclasses.replace(incident, **parts)
