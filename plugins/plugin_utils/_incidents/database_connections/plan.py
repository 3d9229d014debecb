# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for databases, and the guards before each step: the root of a pile-up, never its leaves. PRIVATE."""

from __future__ import annotations

import typing as t

from ..._path.plan import guard
from ..._path.plan.action import Action, Actions, Call
from ..._path.plan.plan import DIGEST_MARK, step
from ..._path.verdict.judge import duration
from . import impact
from .causes import locks, pooler, sessions
from .reading import Database, Reading, read
from .types import Session
from .verdict import RESERVE, basis

Data = dict[str, t.Any]

TERMINATE, CANCEL, RESUME, RESIZE = "terminate_backends", "cancel_backends", "resume_pool", "resize_pool"
_BACKENDS, _POOL = "virtengine.incident.postgresql_backends", "virtengine.incident.pgbouncer_pool"
ACTIONS: Actions = {
    TERMINATE: Action("end sessions on", (Call(_BACKENDS, "terminated", "ended"),)),
    CANCEL: Action("cancel statements on", (Call(_BACKENDS, "cancelled", "ended"),)),
    RESUME: Action("resume the pool on", (Call(_POOL, "resumed", "done"),)),
    RESIZE: Action("make the pool larger on", (Call(_POOL, "resized", "done"),)),
}
# A step ends at most so many sessions: enough to let applications in, few enough to be read before it is approved.
MOST_LEAKED = 20
MOST_ROOTS = 5
# Ending leaked connections, and a larger pool, stop where so much of the limit is in use.
ENOUGH_FREE = 0.7
# Others may have left since the plan was made; below this share in use, ending all that it names is more than is needed.
LEAST_LEFT = 0.5
_NO_UNDO = "None: what was rolled back is done again by its application, or not at all."


def plan(bundle: Data, verdict: Data, break_glass_reason: t.Optional[str]) -> Data:
    """The draft of the plan that ``verdict`` justifies. Steps come only from a confirmed incident, on hosts of the target."""
    reading = read(bundle)
    made = _Plan(reading)
    if verdict["status"] == "incident" and verdict["confirmed"]:
        for database in reading.databases:
            if bundle["inventory"][database.host]["target"]:
                made.fill(database)
    on = {host for entry in made.steps for host in entry["hosts"]}
    concerned = [database for database in reading.databases if database.host in on]
    return {
        "scopes": sorted({f"postgresql:{database.system_identifier or database.host}" for database in concerned})
        or [f"postgresql:{database.host}" for database in reading.databases],
        "basis": {database.host: basis(database) for database in concerned},
        "steps": made.steps,
        "withheld": made.withheld,
        "messages": [],
        "decision": None if made.steps or verdict["status"] != "incident" else _decision(verdict),
    }


def _decision(verdict: Data) -> str:
    if not verdict["confirmed"]:
        return "A second look has to confirm it before anything is planned."
    wanted = [cause["decide"] for cause in verdict["causes"] if cause["decide"] and not cause["explained"]]
    return wanted[0] if wanted else "No known cause is established, so nothing is done. Keep the evidence."


class _Plan:
    """Steps in the order in which they help, and what is withheld."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.steps: list[Data] = []
        self.withheld: list[Data] = []

    def fill(self, database: Database) -> None:
        """What may be done about this database."""
        for base in (
            [None] if database.pooler_paused else sorted({pool.database for pool in database.pools if pool.paused})
        ):
            self._resume(database, base)
        for root in locks.blocking(database)[:MOST_ROOTS]:
            self._unblock(database, root)
        self._leak(database)
        self._release(database)
        self._resize(database)

    def _resume(self, database: Database, base: t.Optional[str]) -> None:
        """``base``: the database that is paused; None: all."""
        waiting = sum(pool.waiting for pool in database.pools if base in (pool.database, None))
        if waiting:
            why = f"{waiting} clients wait for a pool that somebody paused. See first that its work is over."
            risk = "What was done under the pause may not be over."
            undo = f"{f'PAUSE {base}' if base else 'PAUSE'}; on the pooler's console"
            self._add(
                RESUME,
                database,
                base or "all databases",
                {"database": base},
                waiting,
                "clients that wait",
                why,
                undo,
                risk,
            )

    def _unblock(self, database: Database, root: t.Any) -> None:
        """End the idle root; cancel the change of a table that waits behind one that works; else the root's statement."""
        session, queues = root.session, [queue for queue in locks.ddl_behind(database, root) if queue[1]]
        if session is None or (not session.is_client and not queues):
            return
        why = f"{len(root.waiters)} sessions wait behind {session.who}"
        idle = root in locks.idle_roots(database)
        if idle and not self.reading.protected(session):
            self._end(
                TERMINATE,
                database,
                [session],
                why + f", which has done nothing for {duration(session.changed_s or 0)}.",
                len(root.waiters),
            )
        elif queues and not self.reading.protected(queues[0][0]):
            waiter, behind = queues[0]
            self._end(
                CANCEL, database, [waiter], f"{behind} sessions queue behind {waiter.who}, which waits itself.", behind
            )
        elif self.reading.protected(session):
            self._withhold(TERMINATE if idle else CANCEL, database, f"{session.who} is protected: a backup, a superuser, "
                           "replication, or named so. Its owner has to end it.")  # fmt: skip
        elif session.state == "active":
            self._end(
                CANCEL,
                database,
                [session],
                why + f", whose statement runs for {duration(session.query_s or 0)}.",
                len(root.waiters),
            )

    def _leak(self, database: Database) -> None:
        leak = sessions.leaked(database)
        if not leak or not sessions.is_near(database) or not database.limit:
            return
        (application, role, base), idle = leak[0]
        number = min(MOST_LEAKED, too_many(database), len(idle))
        chosen = [session for session in idle if not self.reading.protected(session)][:number]
        if not chosen:
            self._withhold(TERMINATE, database, f"The idle connections of {application or role} are protected.")
            return
        free = database.limit - database.used
        self._end(
            TERMINATE,
            database,
            chosen,
            f"{application or role} ({role}@{base}) holds {len(idle)} connections that idle; these are the longest. They come "
            "back while the application leaks.",
            -free,
        )

    def _release(self, database: Database) -> None:
        """End the transactions that keep a full pool and have done nothing for a minute."""
        old = [session for session in pooler.held(database) if (session.changed_s or 0) >= sessions.IDLE_S]
        chosen = [session for session in old if not self.reading.protected(session)][:MOST_LEAKED]
        waiting = sum(pool.waiting for pool in pooler.exhausted(database))
        if old and not chosen:
            self._withhold(TERMINATE, database, "The sessions that keep the pool are protected.")
        if chosen and not locks.blocking(database):
            why = f"{waiting} clients wait for a pool that {len(old)} idle transactions keep."
            self._end(TERMINATE, database, chosen, why, waiting, label="clients that wait")

    def _resize(self, database: Database) -> None:
        pools, default = pooler.exhausted(database), database.pooler_setting("default_pool_size")
        if not pools or sessions.is_near(database) or locks.blocking(database) or not default or not database.limit:
            return
        own = [pool for pool in pools if pool.most != default]
        if database.serves_others or database.pooler_pids is None:
            self._withhold(
                RESIZE, database, "The pooler runs elsewhere or serves other servers too, whose room is not known here."
            )
            return
        if pooler.held(database):
            self._withhold(RESIZE, database, "Idle transactions keep the pool: they would fill a larger one as well.")
            return
        size = min(2 * default, default + room(database))
        if own or size <= default or not database.sees_all:
            why = (
                f"{own[0].database} has a size or a limit of its own"
                if own
                else "the server has no room for larger pools"
            )
            self._withhold(RESIZE, database, f"default_pool_size is {default}, and {why}.")
            return
        conffile = str(
            (database.part("pooler") or {}).get("settings", {}).get("conffile") or "/etc/pgbouncer/pgbouncer.ini"
        )
        undo = f"mv -f {conffile}.incident-{DIGEST_MARK} {conffile}, then RELOAD on the pooler's console"
        values = {"pool_size": size, "expected_size": default, "conffile": conffile}
        self._add(RESIZE, database, f"from {default} to {size}", values, sum(pool.waiting for pool in pools), "clients that wait",
                  f"All {default} connections are in use while the server has room for {room(database)} more in each pool.", undo,
                  f"Up to {len(database.pools) * (size - default)} more connections at the server.")  # fmt: skip

    def _end(
        self,
        action: str,
        database: Database,
        chosen: list[Session],
        why: str,
        waiting: int,
        label: str = "sessions that wait",
    ) -> None:
        """``waiting``: who waits, in the unit of ``label``, or, below 1, connections that are free now."""
        values = {"backends": [session.named for session in chosen]}
        whom = ", ".join(session.who for session in chosen[:3]) + (
            f" and {len(chosen) - 3} more" if len(chosen) > 3 else ""
        )
        risk = (
            "Their transactions are rolled back."
            if action == CANCEL or waiting > 0
            else "The application has to reconnect."
        )
        label = label if waiting > 0 else "free connections"
        before, after = (waiting, 0) if waiting > 0 else (-waiting, len(chosen) - waiting)
        self._add(action, database, whom, values, before, label, why, _NO_UNDO, risk, after=after)

    def _add(
        self, action: str, database: Database, whom: str, values: Data, before: int, label: str, why: str, undo: str,
        risk: str, *, after: int = 0,
    ) -> None:  # fmt: skip
        needed = 0 if label != "free connections" else max(1, round(RESERVE * (database.limit or 1)))
        effect = {"label": label, "before": before, "after": after, "needed": needed}
        what = f"{ACTIONS[action].words} {database.host}: {whom}"
        self.steps.append(
            step(action, what, [database.host], why=why, undo=undo, risk=risk, parameters=values, impact=effect)
        )

    def _withhold(self, action: str, database: Database, why: str) -> None:
        what = f"{ACTIONS[action].words} {database.host}"
        self.withheld.append(
            {"action": action, "what": what, "hosts": [database.host], "why": why, "break_glass": False}
        )


def room(database: Database) -> int:
    """By how much each pool may grow until ENOUGH_FREE of the limit would be in use; 0 or less: by nothing."""
    spare = int(ENOUGH_FREE * (database.limit or 0)) - database.used
    return spare // max(1, len(database.pools))


def covers(recorded: Data, fresh: Data) -> bool:
    """Whether an approved step is still what would be planned now: its sessions come and go one by one.

    Sessions of it that have gone, or are at work again, are not touched: the module asks. That not more of them are ended
    than is needed now is for the check before the step.
    """
    then, now = (made["parameters"].get("backends") for made in (recorded, fresh))
    if then is None or now is None:
        return bool(recorded["parameters"] == fresh["parameters"])
    return any(backend in now for backend in then)


def check_step(bundle: Data, plan: Data, wanted: Data) -> Data:
    """May this step be taken now, by a look that is seconds old."""
    reading = read(bundle)
    database = next((known for known in reading.databases if known.host == wanted["hosts"][0]), None)
    if database is None or database.server is None:
        return guard.check(wait=True, because="The server does not show its sessions, so nothing is done to them.")
    guards = [_same_server(plan, database)]
    if wanted["action"] in (TERMINATE, CANCEL):
        named = [session for session in database.clients if session.named in wanted["parameters"]["backends"]]
        if not named or not _still_in_the_way(database, named):
            return guard.check(needed=False, because="The named sessions are gone, or nobody waits for them any more.")
        guards.append(_no_more_than_needed(database, named))
        shielded = [session.who for session in named if reading.protected(session)]
        guards.append(
            guard.refused("protected", f"{shielded[0]} is protected.")
            if shielded
            else guard.clear("protected", "none is")
        )
    elif wanted["action"] == RESUME:
        base = wanted["parameters"]["database"]
        if not any(pool.paused for pool in database.pools if base in (pool.database, None)):
            return guard.check(needed=False, because="The pool is not paused any more.")
    else:
        size, now = wanted["parameters"]["pool_size"], database.pooler_setting("default_pool_size")
        if now == size:
            return guard.check(needed=False, because="The pool has that size already.")
        grows = size - wanted["parameters"]["expected_size"]
        because = f"the server has room for {room(database)} more in each pool, and {grows} are asked for"
        guards.append(
            guard.clear("room", because)
            if grows <= room(database)
            else guard.refused("room", because.capitalize() + ".")
        )
    stops = guard.blocking(guards)
    return guard.check(
        ok=not stops,
        because=stops[0].because if stops else "",
        guards=guards,
        impact=wanted["impact"],
        give={"protected_applications": list(reading.protected_applications)},
    )


def _same_server(plan: Data, database: Database) -> guard.Guard:
    if plan["basis"].get(database.host) == basis(database):
        return guard.clear("same_server", "the server is the one that the plan was made for, and has not restarted")
    return guard.refused("same_server", "The server is another one, or was restarted since the plan was made.")


def too_many(database: Database) -> int:
    """Connections to be ended until ENOUGH_FREE of the limit is in use."""
    return database.used - int(ENOUGH_FREE * (database.limit or 0))


def _no_more_than_needed(database: Database, named: list[Session]) -> guard.Guard:
    """Idle sessions are ended for room alone, so only as many of them as room is needed for now."""
    idle = sum(1 for session in named if session.state == "idle")
    if idle <= max(too_many(database), 0) or not idle:
        return guard.clear("no_more_than_needed", "as many are named as room is needed for")
    return guard.refused(
        "no_more_than_needed", f"{idle} idle sessions are named, and room for {too_many(database)} is needed now."
    )


def _still_in_the_way(database: Database, named: list[Session]) -> bool:
    """Whether somebody waits for one of these sessions, or they idle on a server that has little room left."""
    blockers = {pid for by in database.waits.values() for pid in by}
    released = {session.pid for session in pooler.held(database)}
    if any(session.pid in blockers or session.pid in released for session in named):
        return True
    return any(session.state == "idle" for session in named) and sessions.is_near(database)


def recovered(bundle: Data, plan: Data, before: Data) -> Data:
    """Whether nobody is refused or waits, in two looks, at every database that the plan acts on."""
    reading = read(bundle)
    acted = {host for entry in plan["steps"] for host in entry["hosts"]}
    for database in reading.databases:
        if database.host not in acted:
            continue
        if database.server is None:
            return {"recovered": False, "because": f"{database.host}: the server does not show whether it serves."}
        felt = impact.impacts(database)
        if felt:
            return {"recovered": False, "because": f"{database.host}: {next(iter(felt.values()))}."}
        earlier = reading.before.get(database.host)
        if earlier is None or impact.impacts(earlier):
            return {"recovered": False, "because": f"{database.host}: a second look has to show it."}
    return {"recovered": True, "because": "Nobody is refused, nobody waits for a lock or for a pool, in two looks."}
