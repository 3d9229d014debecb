# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A team's site directory, as the demo leaves it and the fleet tests use it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tools import places

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
- name: Chain halted
  ansible.builtin.import_playbook: virtengine.incident.chain_halt
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

What a team keeps for itself: its inventory `validators`, its `ansible.cfg`, thin playbooks, `requirements.yml`.
The records of its incidents grow under `incidents/`.

    ansible-playbook chain_halt.yml -i validators
"""


def write(directory: Path, inventory: Path) -> None:
    """Write the site. ``inventory`` is copied to ``validators``; records that are there already stay."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(inventory, directory / "validators")
    texts = {
        "ansible.cfg": CONFIGURATION.format(collections=places.linked_collections()),
        "chain_halt.yml": PLAYBOOK,
        "requirements.yml": REQUIREMENTS,
        "README.md": README,
    }
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
