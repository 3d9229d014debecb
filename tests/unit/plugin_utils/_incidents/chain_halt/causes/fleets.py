# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to composed fleets in a word each, with the lines that real nodes wrote."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime
from pathlib import Path

from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import marks as _marks
from ansible_collections.virtengine.incident.plugins.module_utils._host import journal as _journal

from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Host, address, at, bad, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import START, Data

JOURNALS = Path(__file__).parents[5] / "data/host/journals"
RUN = "a" * 32

Patch = t.Callable[[Data, int], None]

# Lines that nodes of a real chain wrote, as journald keeps them.
LINES = {
    "panic": 'ERR CONSENSUS FAILURE!!! err="rig fault: panic in FinalizeBlock at height 208" module=consensus',
    "panic_loop": "panic: rig fault: panic in FinalizeBlock at height 208",
    "halt_height": 'ERR CONSENSUS FAILURE!!! err="failed to apply block; error halt per configuration height 208 time 0" '
    "module=consensus",
    "upgrade": 'ERR CONSENSUS FAILURE!!! err="failed to apply block; error UPGRADE \\"v2\\" NEEDED at height: 208: test" '
    "module=consensus",
    "old_binary": 'ERR CONSENSUS FAILURE!!! err="failed to apply block; error wrong app version 0, upgrade handler is '
    'missing for v2 upgrade plan" module=consensus',
    "new_binary": 'panic: BINARY UPDATED BEFORE TRIGGER! UPGRADE "v2" - in binary but not executed on chain. Downgrade your '
    "binary",
    "app_hash": 'ERR CONSENSUS FAILURE!!! err="precommit step; +2/3 prevoted for an invalid block: wrong '
    'Block.Header.AppHash.  Expected 7AF0FD070911, got 0D3B79E61E5C" module=consensus',
    "app_hash_committed": 'ERR CONSENSUS FAILURE!!! err="+2/3 committed an invalid block: wrong Block.Header.AppHash.  '
    'Expected 7AF0FD070911, got 0D3B79E61E5C" module=consensus',
    "app_hash_prevote": 'ERR prevote step: consensus deems this block invalid; prevoting nil err="wrong '
    'Block.Header.AppHash.  Expected C593B5D78BBE, got 10D3068FB674" module=consensus',
    "sync_app_hash": 'ERR Error in validation err="wrong Block.Header.AppHash.  Expected 7AF0FD070911, got 0D3B79E61E5C" '
    "module=blocksync",
    "disk_full": 'ERR CONSENSUS FAILURE!!! err="error writing batch to DB: write /data/state.db/000012.log: no space left on '
    'device" module=consensus',
    "disk_full_start": "Error: failed to initialize database: open /data/state.db/LOCK: no space left on device",
    "read_only": 'ERR CONSENSUS FAILURE!!! err="open /data/cs.wal/wal: read-only file system" module=consensus',
    "io_error": 'ERR CONSENSUS FAILURE!!! err="read /data/state.db/000007.ldb: input/output error" module=consensus',
    "table": "panic: leveldb/table: corruption on table-footer (pos=2097104): bad magic number [file=000007.ldb]",
    "manifest": "Error: failed to initialize database: leveldb: manifest corrupted (field 'comparer')",
    "version": "Error: failed to load latest version: failed to load store: version does not exist",
    "wal_missing": 'ERR Error on catchup replay. Proceeding to start state anyway err="cannot replay height 287. WAL does not '
    'contain #ENDHEIGHT for 286" module=consensus',
    "round_regression": 'ERR failed signing vote err="error signing vote: round regression at height 209. Got 0, last round '
    '7" height=209 module=consensus round=0',
    "height_regression": 'ERR failed signing vote err="error signing vote: height regression. Got 209, last height 100033" '
    "height=209 module=consensus round=0",
    "wal_write": 'ERR CONSENSUS FAILURE!!! err="failed to write {MsgInfo} msg to consensus WAL due to: file already closed; '
    'check your file system and restart the node" module=consensus',
    "state_missing": "open /var/lib/virtengine/data/priv_validator_state.json: no such file or directory",
    "state_empty": "Error reading PrivValidator state from /var/lib/virtengine/data/priv_validator_state.json: cannot decode "
    "empty bytes",
    "same_key": "panic: Failed to start consensus state: found signature from the same key",
    "signer": 'ERR SignerListener: Ping timeout err="endpoint connection timed out" module=privval',
    "conflicting": "ERR found conflicting vote from ourselves; did you unsafe_reset a validator? height=208 module=consensus",
    "handshake": "Error: error during handshake: app block height (0) is too far below block store base (31)",
    "replay_upgrade": 'Error: error during handshake: error on replay: UPGRADE "v2" NEEDED at height: 208: test',
    "replay_halt": "Error: error during handshake: error on replay: halt per configuration height 208 time 0",
    "files": 'ERR CONSENSUS FAILURE!!! err="open /data/blockstore.db/000009.ldb: too many open files" module=consensus',
    "rejected": "ERR prevote step: state machine rejected a proposed block; this should not happen:the proposer may be "
    "misbehaving; prevoting nil height=209 module=consensus round=3",
    "backoff": "ERR Failed to reconnect to peer. Beginning exponential backoff addr=x@10.99.0.11:26656 module=p2p",
    "given_up": "ERR Failed to reconnect to peer. Giving up addr=x@10.99.0.11:26656 module=p2p",
    "genesis": "INF Genesis time is in the future. Sleeping until then... genTime=2026-01-30T13:00:00Z module=server",
    "double_sign": 'INF verified new evidence of byzantine behavior evidence="DuplicateVoteEvidence{...}" module=evidence',
}


def _shifted(marks: list[Data], seconds: float) -> list[Data]:
    """The same marks with the newest of them so many seconds after the block the composed chain stands at."""
    newest = max(datetime.fromisoformat(mark["last_at"]) for mark in marks)
    for mark in marks:
        for key in ("first_at", "last_at"):
            mark[key] = at(seconds - (newest - datetime.fromisoformat(mark[key])).total_seconds())
    return marks


def says(*names: str, seconds: float = 5, current: bool = True) -> list[Data]:
    """The marks that the collection makes of these lines (see ``LINES``), written by the present run or an earlier one."""
    reader = _journal.Reader(_marks.NODE, RUN, None)
    for number, name in enumerate(reversed(names)):
        moment = int((START.timestamp() - number / 1000) * 1e6)
        entry = {
            "__REALTIME_TIMESTAMP": str(moment),
            "_PID": "100",
            "_SYSTEMD_INVOCATION_ID": RUN if current else "b" * 32,
            "MESSAGE": LINES[name],
        }
        reader.line(json.dumps(entry).encode())
    return _shifted(reader.marks(), seconds)


def journal(name: str, seconds: float = 5) -> list[Data]:
    """The marks of a recorded journal of a real node."""
    reader = _journal.Reader(_marks.NODE, None, None)
    lines = (JOURNALS / f"journal-{name}.jsonl").read_bytes().splitlines()
    for line in sorted(lines, key=lambda raw: int(json.loads(raw)["__REALTIME_TIMESTAMP"]), reverse=True):
        reader.line(line)
    return _shifted(reader.marks(), seconds)


# -- changes to what one host shows --


def part(name: str, **values: t.Any) -> Patch:
    """Other values in one part; a part of RPC is named ``rpc.<part>``."""

    def patch(data: Data, look: int) -> None:
        room, key = _place(data, name)
        if room[key]["ok"]:
            room[key]["data"].update(values)

    return patch


def lost(*names: str, kind: str = "failed") -> Patch:
    """Parts that could not be had."""

    def patch(data: Data, look: int) -> None:
        for name in names:
            room, key = _place(data, name)
            room[key] = bad(kind)

    return patch


def _place(data: Data, name: str) -> tuple[Data, str]:
    return (data["rpc"], name[4:]) if name.startswith("rpc.") else (data, name)


def setting(**values: t.Any) -> Patch:
    def patch(data: Data, look: int) -> None:
        for key, value in values.items():
            if data["config"]["ok"]:
                data["config"]["data"][key]["value"] = value

    return patch


def stored(data: Data, look: int) -> None:
    """Block 208 is stored and not executed: /status one above /abci_info, step 8."""
    part("rpc.consensus", height=208, step=8)(data, look)
    part("rpc.abci_info", height=207, app_hash=f"{207:064X}")(data, look)


def app(digest: str, height: int = 208) -> Patch:
    """The application hash that a node computed."""
    return part("rpc.abci_info", height=height, app_hash=digest * 32)


def all_of(*patches: Patch) -> Patch:
    def patch(data: Data, look: int) -> None:
        for one in patches:
            one(data, look)

    return patch


def host(fleet: Fleet, name: str) -> Host:
    return next(entry for entry in fleet.hosts if entry.name == name)


def change(fleet: Fleet, names: str, *patches: Patch, marks: t.Sequence[Data] = (), **values: t.Any) -> Fleet:
    """``fleet`` with the hosts of these names (a word each) changed."""
    for name in names.split():
        entry = host(fleet, name)
        before = [entry.patch] if entry.patch is not None else []
        if patches:
            entry.patch = all_of(*before, *patches)
        entry.marks = [*entry.marks, *(dict(mark) for mark in marks)]
        for key, value in values.items():
            setattr(entry, key, value)
    return fleet


EVERY = "vh1 vh2 vh3 vh4"


def blocked(doing: str, *lines: str, patches: t.Sequence[Patch] = (), **changes: t.Any) -> Fleet:
    """vh1 (40 of 100) does ``doing`` and its journal has these lines."""
    return change(four([doing], **changes), "vh1", *patches, marks=says(*lines) if lines else [])


def sees(*names: str) -> Patch:
    """The host holds the votes of these alone."""

    def patch(data: Data, look: int) -> None:
        shown = data["rpc"]["consensus"]
        if not shown["ok"]:
            return
        order = [row["address"] for row in shown["data"]["validators"]]
        kept = {order.index(address(name)) for name in names}
        for entry in shown["data"]["rounds"]:
            for kind in ("prevotes", "precommits"):
                entry[kind] = [vote for vote in entry[kind] if vote[0] in kept]

    return patch


def nil(data: Data, look: int) -> None:
    """Every vote is for nil."""
    if data["rpc"]["consensus"]["ok"]:
        for entry in data["rpc"]["consensus"]["data"]["rounds"]:
            entry["prevotes"] = [[place, "nil", when] for place, _block, when in entry["prevotes"]]
