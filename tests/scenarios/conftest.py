# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fleet for all scenarios of the chain and one for those of a database.

Each scenario begins in a state that it names and has its own site directory.
"""

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
DATABASE_LAYOUT = Path(__file__).with_name("database.json")
DATABASE_HOST = "vdb1"
DATABASE_INCIDENT = site.Incident("database_connections", "Database refuses connections", "databases")
# The deadlines of a run are for hosts that are dead. On a busy machine a live one may need longer.
PATIENT = """\
---
incident_host_deadline: 60
incident_reference_deadline: 60
"""


RIG = (sys.executable, "-m", "tests.fleet")


def _up(name: str, *arguments: str) -> Fleet:
    # What the fleet is made of may have to be built first.
    up = [*RIG, "up", "--name", name, "--owner-pid", str(os.getpid()), *arguments]
    subprocess.run(up, cwd=REPO, check=True, timeout=3600)
    where = subprocess.run(
        [*RIG, "inventory", "--name", name], cwd=REPO, check=True, capture_output=True, text=True
    ).stdout.strip()
    return Fleet(name, Path(where).parent)


def _down(name: str) -> None:
    subprocess.run([*RIG, "down", "--name", name], cwd=REPO, check=True, timeout=RIG_S)


@pytest.fixture(scope="session")
def standing() -> Iterator[Fleet]:
    """The default fleet: vh1 34, vh2 22, vh3 14, vh4 8, sentry vs1 (ours); vx1 22 (another operator's)."""
    name = os.environ.get("INCIDENT_FLEET", "scenarios")
    fleet = _up(name)
    harm.give_name(fleet, HOSTILE)
    yield fleet
    if "INCIDENT_FLEET" in os.environ:
        harm.take_name(fleet, HOSTILE)
        fleet.heal()
    else:
        _down(name)


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
    return Responder(_site(tmp_path / "site", standing))


def _site(directory: Path, fleet: Fleet, incident: site.Incident = site.CHAIN_HALT) -> Path:
    site.write(directory, fleet.state / "validators", incident)
    (directory / "group_vars").mkdir()
    (directory / "group_vars/all.yml").write_text(PATIENT, encoding="utf-8")
    return directory


@pytest.fixture
def newest(responder: Responder) -> Responder:
    """The same person with the newest ansible-core, or with the same one where this machine has no Python for that."""
    core = environment.NEWEST
    return Responder(responder.site, core.venv / "bin") if core.ready() else responder


@pytest.fixture(scope="session")
def standing_database() -> Iterator[Fleet]:
    """A fleet of one database host, vdb1, without a chain."""
    name = os.environ.get("INCIDENT_DATABASE_FLEET", "scenarios-db")
    fleet = _up(name, "--layout", str(DATABASE_LAYOUT))
    yield fleet
    if "INCIDENT_DATABASE_FLEET" in os.environ:
        fleet.heal()
    else:
        _down(name)


@pytest.fixture
def database(standing_database: Fleet) -> Fleet:
    """The database host with every fault healed and no trace of an earlier run: both services answer."""
    standing_database.heal()
    standing_database.forget_runs((DATABASE_HOST,))
    return standing_database


@pytest.fixture
def database_responder(standing_database: Fleet, tmp_path: Path) -> Responder:
    directory = _site(tmp_path / "site", standing_database, DATABASE_INCIDENT)
    return Responder(directory, incident=DATABASE_INCIDENT)
