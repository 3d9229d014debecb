# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fleet for all scenarios; each scenario begins in a state that it names and has its own site directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import harm
from tests.scenarios.fleet import REPO, RIG_S, Fleet
from tests.scenarios.responder import Responder
from tools import environment, site

# In every scenario this node of ours has a name that is made to harm whoever prints or renders it.
HOSTILE = "vh4"
# The deadlines of a run are for hosts that are dead. On a busy machine a live one may need longer.
PATIENT = """\
---
incident_host_deadline: 60
incident_reference_deadline: 60
"""


@pytest.fixture(scope="session")
def standing() -> Iterator[Fleet]:
    """The default fleet: vh1 34, vh2 22, vh3 14, vh4 8, sentry vs1 (ours); vx1 22 (another operator's)."""
    name = os.environ.get("INCIDENT_FLEET", "scenarios")
    command = [sys.executable, "-m", "tests.fleet"]
    # What the fleet is made of may have to be built first.
    up = [*command, "up", "--name", name, "--owner-pid", str(os.getpid())]
    subprocess.run(up, cwd=REPO, check=True, timeout=3600)
    where = subprocess.run(
        [*command, "inventory", "--name", name], cwd=REPO, check=True, capture_output=True, text=True
    ).stdout.strip()
    fleet = Fleet(name, Path(where).parent)
    harm.give_name(fleet, HOSTILE)
    yield fleet
    if "INCIDENT_FLEET" in os.environ:
        harm.take_name(fleet, HOSTILE)
        fleet.heal()
    else:
        subprocess.run([*command, "down", "--name", name], cwd=REPO, check=True, timeout=RIG_S)


@pytest.fixture
def fleet(standing: Fleet) -> Fleet:
    """The fleet with every fault healed, no trace of an earlier run, and a chain that moves."""
    standing.heal()
    standing.forget_runs()
    standing.wait_for_blocks("vh2")
    return standing


@pytest.fixture
def halted(standing: Fleet) -> Fleet:
    """The fleet halted by vh1, which is stopped; no trace of an earlier run.

    Who only looks leaves it so, and the next scenario need not wait for a new halt.
    """
    standing.halt()
    standing.forget_runs()
    return standing


@pytest.fixture
def responder(standing: Fleet, tmp_path: Path) -> Responder:
    directory = tmp_path / "site"
    site.write(directory, standing.state / "validators")
    (directory / "group_vars").mkdir()
    (directory / "group_vars/all.yml").write_text(PATIENT, encoding="utf-8")
    return Responder(directory)


@pytest.fixture
def newest(responder: Responder) -> Responder:
    """The same person with the newest ansible-core, or with the same one where this machine has no Python for that."""
    core = environment.NEWEST
    return Responder(responder.site, core.venv / "bin") if core.ready() else responder
