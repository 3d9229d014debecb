# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a CometBFT node's journal that mean something in an incident. PRIVATE to the collection.

Fixed, case-sensitive texts of CometBFT 0.38 and Cosmos SDK 0.53. Never by priority (a node's lines all have 6, panics
too) and never by the word "error" (healthy nodes log it).
"""

from __future__ import annotations

import json
import re
import typing as t

from .._host.journal import Marks
from .._host.parts import clean

# kind: texts of which one must be there; a tuple means all of them.
TEXTS: dict[str, tuple[str | tuple[str, ...], ...]] = {
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
# Whole statements: they are true only at the beginning of a message; anywhere else somebody quotes them.
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

# A quoted value that is cut reaches to the end: nothing in it is a field.
_FIELD = re.compile(r'[ \t]([A-Za-z_][\w./-]*)=("(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^\s"]*)', re.DOTALL)


class Line(t.NamedTuple):
    """What the node itself says in a line: its message and its ``err``; and the module it comes from."""

    text: str
    module: str
    # The message without time and level, and the error without quotes; ``logged``: a logger wrote the line.
    message: str
    error: str
    logged: bool


def parse(line: str) -> Line:
    """Take a line apart. Values of other fields are what peers and accounts may have written, and are left out."""
    if line.startswith("{"):
        return _parse_json(line)
    if line.startswith((*_PANIC, "Error: ")):
        return Line(line, "", line, "", False)
    level = _LEVEL.match(line)
    fields = list(_FIELD.finditer(line))
    words = line[: fields[0].start()] if fields else line
    errors = [(name, value) for name, value in (match.groups() for match in fields) if name in ("err", "error")]
    modules = {value for name, value in (match.groups() for match in fields) if name == "module"}
    return Line(
        " ".join([words, *(f"{name}={value}" for name, value in errors)]),
        # A second module stands in somebody's text.
        modules.pop() if len(modules) == 1 else "",
        words[level.end() :] if level else words,
        " ".join(value.strip('"') for _name, value in errors),
        bool(level or fields),
    )


def _parse_json(line: str) -> Line:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        # Cut or broken: which of its words are the node's own cannot be told.
        return Line("", "", "", "", True)
    message, error = (
        " ".join(clean(content[name], 2000) for name in names if content.get(name))
        for names in (("message", "msg", "_msg"), ("err", "error"))
    )
    return Line(f"{message} {error}".strip(), clean(content.get("module", "")), message, error, True)


def kinds(line: Line) -> list[str]:
    """The kinds of the contract a line of the node belongs to; usually none."""
    allowed, own_error = _allowed(line)
    error = line.error if own_error or _NO_FILES.match(line.error) else ""
    # An error that begins like a message must not pass for one.
    own = _QUOTES.sub(r"\1\2", f"{line.message} {error}"[:4000].rstrip())
    named = [
        kind
        for kind, texts in TEXTS.items()
        if (allowed is None or kind in allowed)
        and (own_error or kind == "too_many_open_files" or line.message.startswith(_begins(texts)))
        and _ONLY_OF.get(kind, line.module) == line.module
        and any(_holds(own, text) for text in texts)
    ]
    if not line.logged and line.message.startswith(_PANIC):
        named.append("panic")
    return named


def _allowed(line: Line) -> tuple[frozenset[str] | None, bool]:
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


def _read(message: str) -> tuple[list[str], str]:
    line = parse(message)
    return kinds(line), line.text


NODE = Marks(
    {piece for texts in TEXTS.values() for text in texts for piece in ([text] if isinstance(text, str) else text)},
    _PANIC,
    _read,
)
