# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A team's site directory, as the demo leaves it and the fleet tests use it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tools import places


class Incident(NamedTuple):
    """An incident of the collection: the name of its playbook, the play's title, and the name of the inventory."""

    name: str
    title: str
    inventory: str


CHAIN_HALT = Incident("chain_halt", "Chain halted", "validators")

CONFIGURATION = """\
[defaults]
collections_path = {collections}
stdout_callback = virtengine.incident.plain
forks = 25
timeout = 8
localhost_warning = false

[inventory]
# Saved evidence is judged without an inventory.
inventory_unparsed_warning = false

[ssh_connection]
pipelining = true
# A host that dies under a standing connection is noticed within six seconds.
ssh_args = -C -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=3 -o ServerAliveCountMax=2
"""

PLAYBOOK = """\
---
- name: {incident.title}
  ansible.builtin.import_playbook: virtengine.incident.{incident.name}
"""

REQUIREMENTS = """\
---
collections:
  # It is not on Galaxy yet. A file that `ansible-galaxy collection build` made does as well, with type: file.
  - name: https://github.com/virtengine/ansible-collection-incident.git
    type: git
    version: main
"""

README = """\
# Site directory

What a team keeps for itself: its inventory `{incident.inventory}`, its `ansible.cfg`, thin playbooks, `requirements.yml`.
The records of its incidents grow under `incidents/`.

    ansible-playbook {incident.name}.yml -i {incident.inventory}
"""


def write(directory: Path, inventory: Path, incident: Incident = CHAIN_HALT) -> None:
    """Write the site. ``inventory`` is copied to the incident's; records that are there already stay."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(inventory, directory / incident.inventory)
    texts = {
        "ansible.cfg": CONFIGURATION.format(collections=places.linked_collections()),
        f"{incident.name}.yml": PLAYBOOK.format(incident=incident),
        "requirements.yml": REQUIREMENTS,
        "README.md": README.format(incident=incident),
    }
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
