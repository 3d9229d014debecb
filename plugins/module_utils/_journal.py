# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a unit's journal that mean something in an incident. PRIVATE to the collection.

Fixed, case-sensitive texts of CometBFT 0.38, Cosmos SDK 0.53 and systemd. Never by priority (a node's lines all have
6, panics too) and never by the word "error" (healthy nodes log it).
"""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import time
import typing as t

from ansible_collections.virtengine.incident.plugins.module_utils._host import PartError, clean, environment, stamp

# A node at one block a second writes about 10 lines a block: these bounds hold several hours of it.
LINES_CAP = 400_000
BYTES_CAP = 256 * 1024 * 1024
LINE_CAP = 1024 * 1024

# kind: texts of which one must be there; a tuple means all of them.
MARKS: dict[str, tuple[str | tuple[str, ...], ...]] = {
    "consensus_failure": ("CONSENSUS FAILURE!!!",),
    "wrong_app_hash": (
        "wrong Block.Header.AppHash.",
        "state.AppHash does not match AppHash after replay",
        "block.AppHash does not match AppHash after replay",
    ),
    "invalid_block": (
        "+2/3 prevoted for an invalid block:",
        "+2/3 committed an invalid block:",
        "prevote step: consensus deems this block invalid; prevoting nil",
        "wrong Block.Header.LastResultsHash.",
        "wrong Block.Header.ValidatorsHash.",
        "wrong Block.Header.Version.",
    ),
    "proposal_refused": ("prevote step: state machine rejected a proposed block",),
    "sync_refuses_block": (("Error in validation", "wrong Block.Header."),),
    "upgrade_needed": (("UPGRADE ", " NEEDED at height:"),),
    "wrong_app_version": (
        "wrong app version",
        "upgrade handler is missing for",
    ),
    "binary_too_new": ("BINARY UPDATED BEFORE TRIGGER!",),
    "genesis_future": ("Genesis time is in the future. Sleeping until then",),
    "halt_height": ("halt per configuration height",),
    "no_space": ("no space left on device",),
    "read_only": ("read-only file system",),
    "io_error": ("input/output error",),
    "wal_damaged": (
        "the WAL file is corrupted; attempting repair",
        "Corrupted entry. Skipping...",
        "data has been corrupted in last height of consensus WAL",
        ("failed to write", "msg to consensus WAL due to"),
    ),
    "wal_missing": ("WAL does not contain #ENDHEIGHT for",),
    "database_damaged": (
        "leveldb: corruption",
        "leveldb/table: corruption",
        "leveldb: manifest corrupted",
        "leveldb/storage: corrupted",
        "failed to load store: version does not exist",
    ),
    "handshake_failed": (
        "error during handshake:",
        "app block height (",
        "StoreBlockHeight (",
    ),
    "signing_state_missing": (("priv_validator_state", "no such file or directory"),),
    "signing_state_unreadable": ("Error reading PrivValidator state from",),
    "signing_regression": (
        "height regression. Got",
        "round regression at height",
        "step regression at height",
        "error signing vote: conflicting data",
        "error signing proposal: conflicting data",
    ),
    "conflicting_vote": ("found conflicting vote from ourselves; did you unsafe_reset a validator?",),
    "double_sign_check": ("found signature from the same key",),
    "remote_signer": (
        "SignerListener: Ping timeout",
        "SignerListener: Error accepting connection",
        "endpoint connection timed out",
        "signerEndpoint returned error #",
        "error with private validator socket client",
    ),
    "evidence": (
        "verified new evidence of byzantine behavior",
        "Verified new evidence of byzantine behavior",
        "conflicting votes from validator",
    ),
    "peers_backoff": ("Failed to reconnect to peer. Beginning exponential backoff",),
    "peers_given_up": ("Failed to reconnect to peer. Giving up",),
    "too_many_open_files": ("too many open files",),
}
_PANIC = ("panic: ", "fatal error: ")
# What a peer says ends up in lines of the p2p modules: there only these count.
_OF_PEERS = frozenset({"peers_backoff", "peers_given_up", "too_many_open_files"})
_PEER_MODULES = frozenset({"p2p", "pex"})
# Titles and texts that any account can put on the chain are logged by the application's modules.
_OF_APPLICATION = frozenset({"upgrade_needed", "wrong_app_version", "binary_too_new"})
# What only one module says: block sync validates a header only after more than 2/3 signed it.
_ONLY_OF = {"sync_refuses_block": "blocksync"}

_FIELDS = "MESSAGE,_PID,_SYSTEMD_INVOCATION_ID,INVOCATION_ID,USER_INVOCATION_ID,MESSAGE_ID,_BOOT_ID"
_EXITED = "98e322203f7a4ed290d09fe03c09fe15"
# systemd's own ids: process exited, unit failed, unit stopped, unit deactivated (systemd catalogue).
_ENDED = frozenset(
    {
        _EXITED,
        "d9b373ed55a64feb8242e02dbe79a49c",
        "9d1aaa27d60140bd96365438aad20286",
        "7ad2d189f7e94e70a38c781354912448",
    }
)

_PIECES = sorted(
    {piece for texts in MARKS.values() for text in texts for piece in ([text] if isinstance(text, str) else text)}
)
# A line that holds none of these (as JSON writes them) is only counted. Byte arrays and systemd's lines always pass.
_WORTH = re.compile(
    b"|".join(
        [
            *(re.escape(piece.encode("ascii")) for piece in _PIECES),
            *(rb'"MESSAGE"\s*:\s*"' + re.escape(start.encode("ascii")) for start in _PANIC),
            rb'"MESSAGE"\s*:\s*\[',
            rb'"_PID"\s*:\s*"1"',
            rb"\\u001b",
        ]
    )
)
_FIELD = re.compile(r'[ \t]([A-Za-z_][\w./-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)')
_JOURNAL_TIME = re.compile(rb'"__REALTIME_TIMESTAMP"\s*:\s*"(\d{1,18})"')
_INVOCATION = re.compile(rb'"_SYSTEMD_INVOCATION_ID"\s*:\s*"([0-9a-f]{32})"')


class Said(t.NamedTuple):
    """What the node itself says in a line: its message and its ``err``; and the module it comes from."""

    text: str
    module: str


def said(message: str) -> Said:
    """Take a line apart. Values of other fields are what peers and accounts may have written, and are left out."""
    if message.startswith("{"):
        try:
            content = json.loads(message)
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            words = [content.get(name) for name in ("message", "msg", "_msg", "err", "error")]
            return Said(" ".join(clean(word, 2000) for word in words if word), clean(content.get("module", "")))
    if message.startswith((*_PANIC, "Error: ")):
        return Said(message, "")
    first = _FIELD.search(message)
    if first is None:
        return Said(message, "")
    parts, module = [message[: first.start()]], ""
    for found in _FIELD.finditer(message, first.start()):
        name, value = found.groups()
        if name in ("err", "error"):
            parts.append(f"{name}={value}")
        elif name == "module":
            module = value
    return Said(" ".join(parts), module)


def kinds(line: Said) -> list[str]:
    """The kinds of the contract a line of the node belongs to; usually none."""
    found = [
        kind
        for kind, texts in MARKS.items()
        if _ONLY_OF.get(kind, line.module) == line.module and any(_holds(line.text, text) for text in texts)
    ]
    if line.text.startswith(_PANIC):
        found.append("panic")
    if line.module in _PEER_MODULES:
        return [kind for kind in found if kind in _OF_PEERS]
    if line.module.startswith("x/"):
        return [kind for kind in found if kind in _OF_APPLICATION]
    return found


def _holds(text: str, wanted: str | tuple[str, ...]) -> bool:
    return wanted in text if isinstance(wanted, str) else all(piece in text for piece in wanted)


def plain_message(value: t.Any) -> str:
    """A journal MESSAGE as text: it may be an array of bytes, and may carry terminal escapes."""
    if isinstance(value, list):
        try:
            value = bytes(value).decode("utf-8", "replace")
        except (ValueError, TypeError):
            return ""
    return clean(value, 20_000) if isinstance(value, str) else ""


class Reader:
    """Collects marks from journal lines, newest line first."""

    def __init__(self, invocation: str | None, boot_id: str | None) -> None:
        self.invocation = invocation
        self.boot_id = (boot_id or "").replace("-", "")
        self.lines = 0
        self.last_at: float | None = None
        self.ended_at: float | None = None
        self._marks: dict[str, dict[str, t.Any]] = {}

    def line(self, raw: bytes) -> None:
        """Take one line of ``journalctl -o json``."""
        at = _JOURNAL_TIME.search(raw)
        if at is None:
            return
        self.lines += 1
        moment = int(at.group(1)) / 1e6
        if self.last_at is None:
            self.last_at = moment
        if self.invocation is None:
            # systemd has forgotten the unit: its last invocation is the newest one in the journal.
            last = _INVOCATION.search(raw)
            self.invocation = last.group(1).decode("ascii") if last else None
        if not _WORTH.search(raw):
            return
        try:
            entry = json.loads(raw)
        except (ValueError, RecursionError):
            return
        if isinstance(entry, dict):
            self._entry(entry, moment)

    def _entry(self, entry: dict[str, t.Any], moment: float) -> None:
        message = plain_message(entry.get("MESSAGE"))
        if entry.get("_PID") == "1":
            invocation = entry.get("INVOCATION_ID") or entry.get("USER_INVOCATION_ID")
            ident = entry.get("MESSAGE_ID")
            if ident in _ENDED:
                self.invocation = self.invocation or invocation
                if self.ended_at is None and entry.get("_BOOT_ID") == self.boot_id:
                    self.ended_at = moment
            if ident == _EXITED or "Main process exited, code=" in message:
                self._mark("exited", message, moment, invocation)
            return
        line = said(message)
        for kind in kinds(line):
            self._mark(kind, line.text, moment, entry.get("_SYSTEMD_INVOCATION_ID"))

    def _mark(self, kind: str, text: str, moment: float, invocation: t.Any) -> None:
        mark = self._marks.setdefault(
            kind,
            {"kind": kind, "count": 0, "first_at": "", "last_at": stamp(moment), "current": False, "text": clean(text)},
        )
        mark["count"] += 1
        mark["first_at"] = stamp(moment)
        if self.invocation is not None and invocation == self.invocation:
            mark["current"] = True

    def marks(self) -> list[dict[str, t.Any]]:
        """The marks, newest first; ``text`` is the newest line of its kind."""
        return sorted(self._marks.values(), key=lambda mark: (mark["last_at"], mark["kind"]), reverse=True)


def read(unit: str, since: float, reader: Reader, until: float) -> dict[str, t.Any]:
    """The contract's ``journal`` data, and ``ended_at``: when systemd last said in this boot that the unit ended.

    ``since`` is seconds since 1970; ``until`` a reading of ``time.monotonic()`` at which reading stops, what was read
    by then being marked truncated. Raises PartError ``absent``, ``privilege``.
    """
    _readable(unit)
    # Newest first, so that bounds cut the oldest. --all: without it a line above 4096 bytes (a stack) comes as null.
    argv = ["journalctl", "--unit", unit, "--output", "json", "--output-fields", _FIELDS, "--all", "--no-pager"]
    argv += ["--reverse", "--since", f"@{int(since)}"]
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
    except FileNotFoundError as error:
        raise PartError("absent", "journalctl is not installed on this host") from error
    truncated, size = False, 0
    if process.stdout is None or process.stderr is None:
        raise PartError("failed", "journalctl: no output")
    with process.stdout as stream:
        while True:
            raw = stream.readline(LINE_CAP)
            if not raw:
                break
            size += len(raw)
            reader.line(raw)
            if reader.lines >= LINES_CAP or size >= BYTES_CAP or time.monotonic() >= until:
                truncated = True
                process.kill()
                break
    with process.stderr as stream:
        complaint = "" if truncated else stream.read(4096).decode("utf-8", "replace")
    code = process.wait()
    if not truncated and reader.lines == 0 and code != 0:
        raise PartError("failed", f"journalctl --unit {unit}: {complaint or 'no message'}")
    return {
        "since": stamp(since),
        "lines_read": reader.lines,
        "truncated": truncated,
        "last_line_at": stamp(reader.last_at) if reader.last_at is not None else None,
        "marks": reader.marks(),
        "ended_at": stamp(reader.ended_at) if reader.ended_at is not None else None,
        "invocation": reader.invocation,
    }


def _readable(unit: str) -> None:
    """journalctl answers with nothing where it may not look; an empty answer is a fact only where it may."""
    journals = [name for place in ("/var", "/run") for name in glob.glob(f"{place}/log/journal/*/system.journal")]
    if not journals:
        raise PartError("absent", "this host keeps no journal")
    if not any(os.access(name, os.R_OK) for name in journals):
        raise PartError("privilege", f"the journal of {unit} is hidden from this user; run with become")
