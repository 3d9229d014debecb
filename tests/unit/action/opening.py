# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first step of a run, over an inventory and variables as Ansible reads them."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play import Play
from ansible.plugins.lookup import inventory_hostnames
from ansible.utils.context_objects import CLIArgs
from ansible.utils.vars import load_extra_vars
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.virtengine.incident.plugins.action import incident_open
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.state import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Incident, Misuse

from tests.unit.action.steps import Known, changed, plugin
from tests.unit.lamp import LAMP

Data = dict[str, t.Any]

INVENTORY = """
[lamps]
hall lamp_address=A1
cellar

[spares]
attic
shed lamp_address=A4

[others]
office site_owner=ours
"""
USUAL: Data = {
    "subset": None, "tags": ["all"], "skip_tags": [], "start_at_task": None, "step": False, "extra_vars": [],
}  # fmt: skip


def addresses(host: str, values: t.Any) -> Data:
    """What a host of the lamps declares: an address of two signs."""
    address = values.get("lamp_address")
    if address is None:
        return {}
    if not isinstance(address, str) or re.fullmatch("[A-Z][0-9]", address) is None:
        raise Misuse(f"lamp_address of {host} is {address!r}, which is no address.")
    return {"lamp_address": address}


HOUSE = changed(
    groups=("lamps", "spares"), host_variables=frozenset({"lamp_address"}), declared=addresses, settings=LAMP.settings
)
TORCH = changed(name="torch", variables=frozenset({"torch_hours"}), groups=())


def _lookup(name: str, **given: t.Any) -> t.Any:
    assert name == "ansible.builtin.inventory_hostnames"
    return inventory_hostnames.LookupModule(**given)


class Opening:
    """The first step of a run, over an inventory on the disk."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.known = Known(monkeypatch)
        self.options(inventory=INVENTORY)
        self._made: list[str] = []

    def options(self, inventory: str = INVENTORY, **options: t.Any) -> None:
        """The command line, and the inventory that it names."""
        (self.folder / "hosts").write_text(inventory, encoding="utf-8")
        # What Ansible read of the command line is kept on the function from the first call on.
        load_extra_vars.__dict__.pop("extra_vars", None)
        self.monkeypatch.setattr(context, "CLIARGS", CLIArgs({**USUAL, **options}))

    def __call__(self, incident: Incident = HOUSE, check_mode: bool = False, **extra: t.Any) -> Data:
        """Open a run with these extra variables."""
        self.known.incidents.update({incident.name: incident, TORCH.name: TORCH})
        loader = DataLoader()
        inventory = InventoryManager(loader, sources=[str(self.folder / "hosts")])
        manager = VariableManager(loader, inventory)
        manager._extra_vars = extra
        play = Play().load({"name": "x", "hosts": "all:localhost"}, variable_manager=manager, loader=loader)
        host = inventory.get_hosts("all:localhost")[0]
        values = manager.get_vars(play=play, host=host)
        values["hostvars"] = HostVars(inventory, manager, loader)
        step = plugin(incident_open, {"incident": incident.name}, values, check_mode=check_mode)
        # Ansible's own plugins are found only by a process that began as one of its programs.
        step._shared_loader_obj = SimpleNamespace(lookup_loader=SimpleNamespace(get=_lookup))
        result: Data = step.run(task_vars=values)
        self._made += [result["run_dir"]] if "run_dir" in result else []
        return result

    def refused(self, *given: t.Any, **extra: t.Any) -> str:
        """Why no run is opened; nothing may be left behind."""
        result = self(*given, **extra)
        assert result["failed"] and "run_dir" not in result, result
        said: str = result["msg"]
        return said

    def end(self) -> None:
        load_extra_vars.__dict__.pop("extra_vars", None)
        for path in self._made:
            RunState(path).remove()


def facts(result: Data) -> Data:
    found: Data = RunState(result["run_dir"]).facts
    return found


def bundle(result: Data) -> Data:
    found: Data = RunState(result["run_dir"]).read("bundle")
    return found
