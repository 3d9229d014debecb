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

from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import (
    PartError,
    clean,
    environment,
    stamp,
)

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
        "failed to load state WAL",
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
_ONLY_OF = {"consensus_failure": "consensus", "sync_refuses_block": "blocksync"}
# Whole statements: they are true only as the begin of a message, anywhere else somebody quotes them.
_STATEMENTS = (
    *("CONSENSUS FAILURE", "prevote step: ", "Genesis time ", "found conflicting vote ", "Failed to reconnect "),
    *("verified new evidence ", "Verified new evidence "),
)
# Modules whose errors repeat what peers, proposers and callers of the RPC wrote; "" is a line that names no module.
_REPEATING = frozenset(
    {"", "baseapp", "consensus", "blocksync", "evidence", "statesync", "mempool"}
    | {"rpc", "rpc-server", "grpc-server", "api-server"}
)
# Behind these such a module's error is the node's own: its panic, its application, its log, its signature.
_OF_ITSELF = re.compile(
    r"CONSENSUS FAILURE!!!|failed to apply block|[Ee]rror on (?:catchup )?replay|.*\b(?:WAL|wal)\b|Corrupted entry\. Skipping"
    r"|Error flushin|error on flush data to disk|(?:client )?error (?:in|during) proxyAppConn\."
    r"|failed signing vote|propose step; |failed to get private validator pubkey"
)
# The reason a block is refused for quotes its header, which is the proposer's free text (its ChainID).
_REFUSES_BLOCK = (
    "prevote step: ",
    "Error in validation",
    "precommit step; +2/3 prevoted",
    "+2/3 committed an invalid block",
)
_OF_BLOCKS = frozenset(
    {"wrong_app_hash", "invalid_block", "sync_refuses_block", "proposal_refused", "consensus_failure"}
)
# Nothing behind these is the node's own: header fields of a proposer, name and text of an upgrade plan.
_QUOTES = re.compile(
    r"(wrong Block\.Header\.\w+\.|BINARY UPDATED BEFORE TRIGGER!|upgrade handler is missing for|UPGRADE )"
    r"(?:.*( NEEDED at height:))?.*",
    re.DOTALL,
)
# How the operating system words it, so that a peer's version or network name cannot.
_NO_FILES = re.compile(r"(?:accept|dial|open) .*: too many open files\Z", re.DOTALL)
# Time and level in front of a message, as the SDK ("9:26PM ERR ") and CometBFT ("E[2026-01-02|03:04:05.678] ") write them.
_LEVEL = re.compile(r"(?:[0-9][\w:.,+-]{0,40} )?(?:TRC|DBG|INF|WRN|ERR|FTL|PNC) +|[A-Z]\[[^\]]{1,40}\] +")

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
# A quoted value that is cut reaches to the end: nothing in it is a field.
_FIELD = re.compile(r'[ \t]([A-Za-z_][\w./-]*)=("(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^\s"]*)', re.DOTALL)
_JOURNAL_TIME = re.compile(rb'"__REALTIME_TIMESTAMP"\s*:\s*"(\d{1,18})"')
_INVOCATION = re.compile(rb'"_SYSTEMD_INVOCATION_ID"\s*:\s*"([0-9a-f]{32})"')


class Said(t.NamedTuple):
    """What the node itself says in a line: its message and its ``err``; and the module it comes from."""

    text: str
    module: str
    # The message without time and level, and the error without quotes; ``logged``: a logger wrote the line.
    message: str
    error: str
    logged: bool


def said(line: str) -> Said:
    """Take a line apart. Values of other fields are what peers and accounts may have written, and are left out."""
    if line.startswith("{"):
        return _said_in_json(line)
    if line.startswith((*_PANIC, "Error: ")):
        return Said(line, "", line, "", False)
    level = _LEVEL.match(line)
    fields = list(_FIELD.finditer(line))
    words = line[: fields[0].start()] if fields else line
    errors = [(name, value) for name, value in (found.groups() for found in fields) if name in ("err", "error")]
    modules = {value for name, value in (found.groups() for found in fields) if name == "module"}
    return Said(
        " ".join([words, *(f"{name}={value}" for name, value in errors)]),
        # A second module stands in somebody's text.
        modules.pop() if len(modules) == 1 else "",
        words[level.end() :] if level else words,
        " ".join(value.strip('"') for _name, value in errors),
        bool(level or fields),
    )


def _said_in_json(line: str) -> Said:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        # Cut or broken: which of its words are the node's own cannot be told.
        return Said("", "", "", "", True)
    message, error = (
        " ".join(clean(content[name], 2000) for name in names if content.get(name))
        for names in (("message", "msg", "_msg"), ("err", "error"))
    )
    return Said(f"{message} {error}".strip(), clean(content.get("module", "")), message, error, True)


def kinds(line: Said) -> list[str]:
    """The kinds of the contract a line of the node belongs to; usually none."""
    allowed, own_error = _believed(line)
    error = line.error if own_error or _NO_FILES.match(line.error) else ""
    # An error that begins like a message must not pass for one.
    own = _QUOTES.sub(r"\1\2", f"{line.message} {error}"[:4000].rstrip())
    found = [
        kind
        for kind, texts in MARKS.items()
        if (allowed is None or kind in allowed)
        and (own_error or kind == "too_many_open_files" or line.message.startswith(_begins(texts)))
        and _ONLY_OF.get(kind, line.module) == line.module
        and any(_holds(own, text) for text in texts)
    ]
    if not line.logged and line.message.startswith(_PANIC):
        found.append("panic")
    return found


def _believed(line: Said) -> tuple[frozenset[str] | None, bool]:
    """Which kinds a line may state (None: all), and whether its error is the node's own."""
    if line.module in _PEER_MODULES:
        return _OF_PEERS, False
    if line.module.startswith("x/"):
        return _OF_APPLICATION, False
    itself = not line.logged or line.module not in _REPEATING or _OF_ITSELF.match(line.message) is not None
    if line.message.startswith(_REFUSES_BLOCK) or (itself and line.error.startswith(_REFUSES_BLOCK)):
        return _OF_BLOCKS, True
    if line.message.startswith("failed to process message"):
        return frozenset({"evidence"}), line.error.startswith("conflicting votes from validator")
    return None, itself


def _begins(texts: tuple[str | tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(text if isinstance(text, str) else text[0] for text in texts)


def _holds(text: str, wanted: str | tuple[str, ...]) -> bool:
    if isinstance(wanted, tuple):
        return all(piece in text for piece in wanted)
    return text.startswith(wanted) if wanted.startswith(_STATEMENTS) else wanted in text


def plain_message(value: t.Any) -> str:
    """A journal MESSAGE as text: it may be an array of bytes, and may carry terminal escapes."""
    if isinstance(value, list):
        try:
            value = bytes(value).decode("utf-8", "replace")
        except (ValueError, TypeError):
            return ""
    # Above what journald keeps of a line (48 kB), so that a JSON line stays whole.
    return clean(value, 64_000) if isinstance(value, str) else ""


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
