# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fleet for all scenarios; each scenario begins on a chain that moves and has its own site directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.fleet import REPO, Fleet
from tests.scenarios.responder import Responder
from tools import site

OURS = ("vh1", "vh2", "vh3", "vh4", "vs1")


@pytest.fixture(scope="session")
def standing() -> Iterator[Fleet]:
    """The default fleet: vh1 34, vh2 22, vh3 14, vh4 8, sentry vs1 (ours); vx1 22 (another operator's)."""
    name = os.environ.get("INCIDENT_FLEET", "scenarios")
    command = [sys.executable, "-m", "tests.fleet"]
    subprocess.run([*command, "up", "--name", name, "--owner-pid", str(os.getpid())], cwd=REPO, check=True, timeout=900)
    where = subprocess.run(
        [*command, "inventory", "--name", name], cwd=REPO, check=True, capture_output=True, text=True
    ).stdout.strip()
    yield Fleet(name, Path(where).parent)
    if "INCIDENT_FLEET" not in os.environ:
        subprocess.run([*command, "down", "--name", name], cwd=REPO, check=True, timeout=120)


@pytest.fixture
def fleet(standing: Fleet) -> Iterator[Fleet]:
    """The fleet with every fault healed, no lock left, and a chain that moves."""
    standing.heal()
    for host in OURS:
        standing.on(host, "rm -rf /run/lock/virtengine-incident /var/lib/virtengine-incident")
    standing.wait_for_blocks("vh2")
    yield standing
    standing.heal()


@pytest.fixture
def responder(fleet: Fleet, tmp_path: Path) -> Responder:
    directory = tmp_path / "site"
    site.write(directory, fleet.state / "validators")
    return Responder(directory)


@pytest.fixture
def inventory(responder: Responder) -> Path:
    """A copy of the inventory that a scenario may spoil."""
    copy = responder.site / "spoilt"
    shutil.copyfile(responder.site / "validators", copy)
    return copy
