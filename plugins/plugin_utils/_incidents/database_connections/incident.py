# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incident "database connections": what the path knows of it."""

from __future__ import annotations

import typing as t

from ..._path.incident import Data, Incident, Misuse, Source, Timing, Values
from ..._path.text import clean
from . import plan, verdict
from .reading import SOURCE

PROTECTED = ("database_connections_protected_roles", "database_connections_protected_applications")
LOGINS = ("database_connections_login", "database_connections_pooler")


def settings(values: Values) -> Data:
    """What evidence keeps of the variables: lists of names that are never touched. Misuse where one is none."""
    kept: Data = {}
    for name in PROTECTED:
        given = values.get(name)
        if given is None:
            continue
        if not isinstance(given, list) or not all(
            isinstance(one, str) and one and one == clean(one, 64) for one in given
        ):
            raise Misuse(f"{name} is no list of names. Give one, such as ['nightly', 'etl'].")
        kept[name] = given
    return kept


def declared(host: str, values: Values) -> Data:
    """Logins are checked here and kept nowhere. Misuse where one is no dictionary, or holds a password."""
    for name in LOGINS:
        given = values.get(name)
        if given is not None and not isinstance(given, dict):
            raise Misuse(f"{name} of {host} is no dictionary of options, such as {{login_user: monitor}}.")
        inner = (given or {}).get("connect_params")
        inner = inner if isinstance(inner, dict) else {}
        if "login_password" in (given or {}) or not {"password", "sslpassword"}.isdisjoint(inner):
            raise Misuse(
                f"{name} of {host} holds a password, which would be shown and logged. Use peer authentication (-b), or a "
                "password file: connect_params: {passfile: /path/on/that/host}."
            )
    return {}


def moved_on(recorded: Data, now: Data) -> bool:
    """Whether the same servers now serve, as the plan was meant to bring about."""
    seen = {host: known["basis"] for host, known in now["details"]["databases"].items()}
    same = all(seen.get(host) == basis for host, basis in recorded["basis"].items())
    return same and now["status"] in ("healthy", "degraded")


DATABASE_CONNECTIONS: t.Final = Incident(
    name="database_connections",
    kind="incident",
    sources={SOURCE: Source(groups=("databases",))},
    assess=verdict.assess,
    plan=plan.plan,
    check_step=plan.check_step,
    recovered=plan.recovered,
    actions=plan.ACTIONS,
    groups=("databases",),
    timing=Timing(looks=2, gap_s=10, least_gap_s=8, wait_s=3, most_looks=12),
    variables=frozenset(PROTECTED),
    host_variables=frozenset({*LOGINS, "database_connections_units", "database_connections_server_log"}),
    settings=settings,
    declared=declared,
    valid_s=600,
    covers=plan.covers,
    moved_on=moved_on,
    advice={"not_recovered": ("Do not restart the server: look at who waits for whom again.",)},
)
