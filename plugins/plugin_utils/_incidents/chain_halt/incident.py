# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incident "chain halted", and the same seen through RPC endpoints alone."""

from __future__ import annotations

from ..._chain import variables as chain_variables
from ..._path.incident import Data, Incident, Source, Values
from . import guards, plan, recovery, variables, verdict
from .actions import ACTIONS

# RPC endpoints outside of the inventory, asked from the controller.
REFERENCES = "cometbft_info"


def moved_on(recorded: Data, now: Data) -> bool:
    """Whether blocks have come since the plan was made, as its steps were meant to bring about."""
    height, then = now["details"]["height"], recorded["basis"]["height"]
    return now["status"] in ("healthy", "degraded") and height is not None and then is not None and height > then


def _probe_settings(values: Values) -> Data:
    return {**chain_variables.endpoints(values), **chain_variables.chain_id(values)}


CHAIN_HALT = Incident(
    name="chain_halt",
    kind="incident",
    sources={"node_evidence": Source(), REFERENCES: Source(in_inventory=False)},
    assess=verdict.assess,
    plan=plan.plan,
    check_step=guards.check_step,
    recovered=recovery.recovered,
    actions=ACTIONS,
    groups=("validators", "sentries"),
    variables=variables.VARIABLES,
    host_variables=variables.HOST_VARIABLES,
    settings=variables.settings,
    declared=chain_variables.declared,
    moved_on=moved_on,
    advice={"not_recovered": ("Restart nothing by hand: nodes that vote hold their votes in memory.",)},
)

CHAIN_PROBE = Incident(
    name="chain_probe",
    kind="incident",
    sources={REFERENCES: Source(in_inventory=False)},
    assess=verdict.assess,
    plan=plan.plan,
    check_step=guards.check_step,
    recovered=recovery.recovered,
    actions={},
    variables=chain_variables.REFERENCE_VARIABLES | {chain_variables.CHAIN_ID},
    settings=_probe_settings,
)
