# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals of a real network and of hostile ones, read into the marks of a node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import marks as _marks
from ansible_collections.virtengine.incident.plugins.module_utils._host import journal

JOURNALS = Path(__file__).parents[3] / "data/host/journals"
RECORDED = sorted((Path(__file__).parents[3] / "data/recorded").glob("*.json"))


def marks(name: str, invocation: str | None = None) -> dict[str, Any]:
    reader = journal.Reader(_marks.NODE, invocation, None)
    lines = (JOURNALS / f"journal-{name}.jsonl").read_bytes().splitlines()
    # As journalctl --reverse gives them.
    for line in sorted(lines, key=lambda raw: int(json.loads(raw)["__REALTIME_TIMESTAMP"]), reverse=True):
        reader.line(line)
    return {mark["kind"]: mark for mark in reader.marks()}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("start-and-normal", {"invalid_block", "wrong_app_hash"}),
        ("halted", set()),
        ("byte-array", set()),
        ("apphash-vh1", {"invalid_block", "wrong_app_hash"}),
        ("apphash-after-rollback-vh2", {"invalid_block", "wrong_app_hash"}),
        ("diverged-vh3", {"consensus_failure", "invalid_block", "wrong_app_hash"}),
        ("diverged-restart-vh3", {"sync_refuses_block", "wrong_app_hash"}),
        ("upgrade-halt", {"consensus_failure", "upgrade_needed"}),
        ("upgrade-restart", {"exited", "handshake_failed", "upgrade_needed"}),
        ("halt-height", {"consensus_failure", "halt_height"}),
        ("dsch-refusal", {"double_sign_check", "exited", "panic"}),
        ("wal-repaired", {"wal_damaged"}),
        ("wal-damage-ignored", {"wal_damaged"}),
        ("appdb-corrupt", {"database_damaged", "exited"}),
        ("panic-state-db", {"exited", "handshake_failed", "panic"}),
    ],
)
def test_the_recorded_journals_give_these_kinds_and_no_others(name: str, kinds: set[str]) -> None:
    assert set(marks(name)) == kinds


def test_an_exit_is_quoted_as_systemd_said_it() -> None:
    found = marks("panic-state-db")
    assert found["exited"]["text"] == "virtengine.service: Main process exited, code=exited, status=2/INVALIDARGUMENT"
    assert found["panic"]["text"] == "panic: StoreBlockHeight (287) > StateBlockHeight + 1 (1)"
    assert found["panic"]["count"] == 1


def test_the_text_of_a_failure_has_no_stack_and_no_other_fields() -> None:
    text = marks("halt-height")["consensus_failure"]["text"]
    assert (
        text == 'ERR CONSENSUS FAILURE!!! err="failed to apply block; error halt per configuration height 248 time 0"'
    )


def entry(message: Any, **fields: str) -> bytes:
    content = {"__REALTIME_TIMESTAMP": "1795534767589108", "_PID": "100", "_SYSTEMD_INVOCATION_ID": "a" * 32, **fields}
    return json.dumps({**content, "MESSAGE": message}).encode()


def kinds_of(*lines: bytes) -> list[str]:
    reader = journal.Reader(_marks.NODE, "a" * 32, "b" * 32)
    for line in lines:
        reader.line(line)
    return sorted(mark["kind"] for mark in reader.marks())


@pytest.mark.parametrize(
    "message",
    [
        'INF proposal tallied module=x/gov status=failed title="CONSENSUS FAILURE!!! no space left on device"',
        'INF proposal tallied module=x/gov err="no space left on device"',
        'ERR dialing failed module=p2p err="incompatible: Got CONSENSUS FAILURE!!!, wrong Block.Header.AppHash."',
        'INF added peer module=consensus peer="x\\" err=\\"no space left on device"',
        "INF everything is fine, don't panic: really",
        'ERR error while stopping connection error="already stopped" module=rpc',
        'ERR Error in validation err="wrong Block.Header.AppHash" module=p2p',
        'ERR Error in validation err="invalid commit -- wrong height: 7 vs 8" module=blocksync',
        'ERR dialing failed module=pex err="read-only file system"',
        'INF proposal tallied module=x/gov err="input/output error"',
        "\tpanic: not at the start of what the node said goroutine 1",
        "consensus failure!!!",
        None,
        12,
        [1, 999],
        {},
    ],
)
def test_what_others_wrote_and_what_is_harmless_is_no_mark(message: Any) -> None:
    # A tab before "panic: " is a quoted stack of another line; journald keeps it.
    if isinstance(message, str) and message.startswith("\t"):
        message = "quoted: " + message
    assert kinds_of(entry(message)) == []


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('{"level":"error","module":"consensus","err":"x","message":"CONSENSUS FAILURE!!!"}', "consensus_failure"),
        ('E[2026-01-02|03:04:05.678] CONSENSUS FAILURE!!!   module=consensus err="x"', "consensus_failure"),
        (
            list(b"\x1b[31mERR\x1b[0m CONSENSUS FAILURE!!! \x1b[36merr=\x1b[0mx \x1b[36mmodule=\x1b[0mconsensus"),
            "consensus_failure",
        ),
        ("panic: runtime error", "panic"),
        ("fatal error: all goroutines are asleep - deadlock!", "panic"),
        ("Error: open /x/data/priv_validator_state.json: no such file or directory", "signing_state_missing"),
        ("ERR Failed to reconnect to peer. Giving up module=p2p elapsed=1h", "peers_given_up"),
        (
            'ERR failed signing vote err="error signing vote: height regression. Got 34, last height 100033"',
            "signing_regression",
        ),
        ('ERR UPGRADE "v2" NEEDED at height: 253: test module=x/upgrade', "upgrade_needed"),
        (
            'ERR BINARY UPDATED BEFORE TRIGGER! UPGRADE "v3" - in binary but not executed on chain. Downgrade your binary'
            " module=x/upgrade",
            "binary_too_new",
        ),
        (
            "ERR prevote step: state machine rejected a proposed block; this should not happen:the proposer may be"
            " misbehaving; prevoting nil err=null height=287 module=consensus round=2",
            "proposal_refused",
        ),
        (
            'ERR Error in validation err="wrong Block.Header.NextValidatorsHash.  Expected 0A, got 0B" module=blocksync',
            "sync_refuses_block",
        ),
        ("panic: open /x/data/cs.wal/wal: read-only file system", ["panic", "read_only"]),
        ('ERR Error flushin to disk err="write wal: input/output error" module=consensus', "io_error"),
        # The file belongs to another user; the line before it says no more.
        (
            'ERR failed to load state WAL err="open /var/lib/virtengine/.virtengine/data/cs.wal/wal: permission denied"'
            " module=consensus",
            "wal_damaged",
        ),
        (
            "INF Genesis time is in the future. Sleeping until then... genTime=2027-01-01T00:00:00Z module=server",
            "genesis_future",
        ),
        (
            'ERR Failed to reconnect to peer. Beginning exponential backoff addr={"id":"a"} elapsed=2m module=p2p',
            "peers_backoff",
        ),
    ],
)
def test_the_forms_of_the_same_statement(message: Any, kind: str | list[str]) -> None:
    assert kinds_of(entry(message)) == ([kind] if isinstance(kind, str) else kind)


# Words of a stranger, each with the kind it would be if the node itself had said it.
FOREIGN = {
    "CONSENSUS FAILURE!!!": "consensus_failure",
    "wrong Block.Header.AppHash.": "wrong_app_hash",
    "wrong Block.Header.Version.": "invalid_block",
    "+2/3 committed an invalid block:": "invalid_block",
    "UPGRADE x NEEDED at height: 1": "upgrade_needed",
    "wrong app version": "wrong_app_version",
    "BINARY UPDATED BEFORE TRIGGER!": "binary_too_new",
    "halt per configuration height": "halt_height",
    "no space left on device": "no_space",
    "read-only file system": "read_only",
    "input/output error": "io_error",
    "failed to write msg to consensus WAL due to": "wal_damaged",
    "Corrupted entry. Skipping...": "wal_damaged",
    "failed to load state WAL": "wal_damaged",
    "WAL does not contain #ENDHEIGHT for 7": "wal_missing",
    "leveldb: corruption": "database_damaged",
    "StoreBlockHeight (": "handshake_failed",
    "priv_validator_state no such file or directory": "signing_state_missing",
    "Error reading PrivValidator state from": "signing_state_unreadable",
    "height regression. Got": "signing_regression",
    "error signing vote: conflicting data": "signing_regression",
    "found conflicting vote from ourselves; did you unsafe_reset a validator?": "conflicting_vote",
    "found signature from the same key": "double_sign_check",
    "SignerListener: Ping timeout": "remote_signer",
    "endpoint connection timed out": "remote_signer",
    "conflicting votes from validator": "evidence",
    "verified new evidence of byzantine behavior": "evidence",
    "Failed to reconnect to peer. Giving up": "peers_given_up",
    "Failed to reconnect to peer. Beginning exponential backoff": "peers_backoff",
    "Genesis time is in the future. Sleeping until then": "genesis_future",
    "prevote step: state machine rejected a proposed block": "proposal_refused",
    "too many open files": "too_many_open_files",
    "panic: ": "panic",
}
CHAIN = "wrong Block.Header.ChainID. Expected virtengine-1, got "
PREVOTE = "prevote step: consensus deems this block invalid; prevoting nil"
FAILURE = "CONSENSUS FAILURE!!!"
# Where a stranger's words may stand in what a node logs: message, err, module; and what is true of such a line.
QUOTING = [
    (PREVOTE, CHAIN + "{}", "consensus", {"invalid_block"}),
    (PREVOTE, CHAIN + "{}{}{}", "consensus", {"invalid_block"}),
    (PREVOTE, "{}", "consensus", {"invalid_block", "wrong_app_hash"}),
    ("Error in validation", CHAIN + "{}", "blocksync", {"sync_refuses_block"}),
    (
        FAILURE,
        "precommit step; +2/3 prevoted for an invalid block: " + CHAIN + "{}",
        "consensus",
        {"consensus_failure", "invalid_block"},
    ),
    (
        FAILURE,
        "+2/3 committed an invalid block: " + CHAIN + "{}",
        "consensus",
        {"consensus_failure", "invalid_block"},
    ),
    (
        FAILURE,
        'failed to apply block; error UPGRADE "v2" NEEDED at height: 72: {}',
        "consensus",
        {"consensus_failure", "upgrade_needed"},
    ),
    ('UPGRADE "v2" NEEDED at height: 72: {}', "", "x/upgrade", {"upgrade_needed"}),
    ("error in proxyAppConn.FinalizeBlock", 'UPGRADE "v2" NEEDED at height: 72: {}', "state", {"upgrade_needed"}),
    ("failed to process message", "error adding block part: {}", "consensus", set()),
    ("Peer sent us invalid msg", "{}", "consensus", set()),
    ("Peer sent us invalid block", "{}", "blocksync", set()),
    ("failed to verify evidence", "{}", "evidence", set()),
    ("Could not check tx", "{}", "mempool", set()),
    ("Panic in RPC HTTP handler", "{}", "rpc-server", set()),
    ("proposal failed on execution", "{}", "x/gov", set()),
    ("dialing failed", "incompatible: peer is on a different network. Got {}", "p2p", set()),
    ("dialing failed", "invalid NodeInfo: info.Version must be valid ASCII text, but got socket: {}", "pex", set()),
    ("something of a program without modules", "{}", "", set()),
]


def forms(message: str, error: str, module: str) -> list[str]:
    """What one statement looks like in the formats of the SDK and of CometBFT."""
    said = json.dumps(error, ensure_ascii=True)
    names = f" module={module}" if module else ""
    return [
        json.dumps({"level": "error", "module": module, "err": error, "height": 7, "message": message}),
        f"9:26PM ERR {message} err={said} height=7{names}",
        f"ERR {message} err={said}{names} peer=x",
        f"E[2026-01-02|03:04:05.678] {message}  {names} err={said}",
    ]


@pytest.mark.parametrize(("message", "error", "module", "true"), QUOTING)
@pytest.mark.parametrize("words", FOREIGN)
def test_a_strangers_words_make_no_mark(message: str, error: str, module: str, true: set[str], words: str) -> None:
    for line in forms(message.replace("{}", words), error.replace("{}", words), module):
        assert set(kinds_of(entry(line))) <= true, line


def test_the_words_of_the_test_above_are_dangerous() -> None:
    # As the node's own they are what they say: else the test above would show nothing.
    for words, kind in FOREIGN.items():
        own = [entry(line) for line in (words, f"panic: {words}", *forms(words, "x", "consensus"))]
        assert kind in kinds_of(*own, entry(f"ERR {words} module=p2p"), entry(f"ERR {words} module=blocksync")), words


@pytest.mark.parametrize("module", ["server", "state", "p2p", "x/gov", ""])
def test_a_consensus_failure_is_said_by_consensus_at_the_begin_of_a_line(module: str) -> None:
    for message, error in ((FAILURE, "x"), ("server stopped", FAILURE), ("", FAILURE)):
        for line in forms(message, error, module):
            assert kinds_of(entry(line)) == [], line
    for line in forms("failed to process message", FAILURE, "consensus"):
        assert kinds_of(entry(line)) == [], line


@pytest.mark.parametrize(
    "line",
    [
        # A quoted value that is cut, and one that is no quoted text: what follows in it are no fields.
        'ERR Peer sent us invalid msg module=consensus msg="x module=server err=CONSENSUS_FAILURE!!! no space left on device',
        'ERR Peer sent us invalid msg module=consensus msg={"a":" module=server err=leveldb/table: corruption"}',
        'ERR invalid msg module=consensus msg={"a":" module=server err="}"no space left on device"',
        '{"level":"error","module":"consensus","message":"Peer sent us invalid msg","msg":"CONSENSUS FAILURE!!! leveldb: corruption',
        'ERR UPGRADE "v2" NEEDED at height: 7: x module=consensus err="CONSENSUS FAILURE!!! no space left on device" module=x/upgrade',
    ],
)
def test_a_field_inside_somebodys_text_is_no_field(line: str) -> None:
    assert set(kinds_of(entry(line))) <= {"upgrade_needed"}


def test_a_long_json_line_is_read_whole() -> None:
    line = {"level": "error", "module": "consensus", "err": "x", "stack": "s" * 40_000, "message": FAILURE}
    assert kinds_of(entry(json.dumps(line))) == ["consensus_failure"]


@pytest.mark.parametrize("call", ["accept tcp [::]:26656: accept4", "dial tcp 10.0.0.1:26656: socket"])
def test_a_node_without_descriptors_says_so_in_its_p2p_modules(call: str) -> None:
    for line in forms("Error dialing peer", f"{call}: too many open files", "p2p"):
        assert kinds_of(entry(line)) == ["too_many_open_files"]


# A mark keeps the message and the error of its line; these modules wrote them.
WRITERS = {
    "Error in validation": "blocksync",
    "Failed to reconnect": "p2p",
    "Genesis time": "server",
    "verified new evidence": "evidence",
    "Verified new evidence": "evidence",
    "UPGRADE ": "x/upgrade",
    "BINARY UPDATED": "x/upgrade",
}


def recorded_marks(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for mark in value.get("marks") or []:
            yield mark["kind"], mark["text"]
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        yield from recorded_marks(inner)


def lines_of(kind: str, text: str) -> list[bytes]:
    if kind == "exited":
        return [entry(text, _PID="1", INVOCATION_ID="a" * 32)]
    logged = re.match(r"(?:[\d:]+[AP]M )?[A-Z]{3} (.*?)(?: err=(.*))?$", text)
    if logged is None:
        return [entry(text)]
    message, error = logged[1], (logged[2] or "").strip('"').replace('\\"', '"')
    module = next((name for begin, name in WRITERS.items() if message.startswith(begin)), "consensus")
    return [entry(line) for line in forms(message, error, module)]


@pytest.mark.parametrize("bundle", RECORDED, ids=lambda path: path.stem)
def test_every_mark_of_the_recorded_bundles_is_found_again_from_its_text(bundle: Path) -> None:
    for kind, text in sorted(set(recorded_marks(json.loads(bundle.read_text())))):
        for line in lines_of(kind, text):
            assert kind in kinds_of(line), line


def test_the_recorded_bundles_hold_marks_of_most_kinds() -> None:
    kinds = {kind for path in RECORDED for kind, _text in recorded_marks(json.loads(path.read_text()))}
    assert len(kinds) >= 20
