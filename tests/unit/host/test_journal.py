# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals of a real network and of hostile ones, read into marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils import _journal

JOURNALS = Path(__file__).parents[2] / "data/host/journals"


def marks(name: str, invocation: str | None = None) -> dict[str, Any]:
    reader = _journal.Reader(invocation, None)
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


def test_the_last_invocation_is_told_from_the_ones_before() -> None:
    last = marks("appdb-corrupt", "71d8e11e026c4f4585e3825a43682682")
    assert last["exited"]["current"] and last["database_damaged"]["current"]
    other = marks("appdb-corrupt", "00000000000000000000000000000000")
    assert not other["exited"]["current"] and not other["database_damaged"]["current"]


def test_without_an_invocation_from_systemd_the_newest_in_the_journal_counts() -> None:
    assert marks("appdb-corrupt")["exited"]["current"]


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
    reader = _journal.Reader("a" * 32, "b" * 32)
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
        (list(b"\x1b[31mERR\x1b[0m CONSENSUS FAILURE!!! \x1b[36merr=\x1b[0mx"), "consensus_failure"),
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


def test_only_systemd_itself_says_that_a_process_exited() -> None:
    text = "virtengine.service: Main process exited, code=killed, status=9/KILL"
    assert kinds_of(entry(text)) == []
    assert kinds_of(entry(text, _PID="1", INVOCATION_ID="a" * 32)) == ["exited"]


def test_the_end_of_the_unit_is_taken_from_this_boot_only() -> None:
    stopped = {"_PID": "1", "MESSAGE_ID": "9d1aaa27d60140bd96365438aad20286", "INVOCATION_ID": "a" * 32}
    reader = _journal.Reader(None, "b" * 8 + "-" + "b" * 24)
    reader.line(entry("Stopped", **stopped, _BOOT_ID="c" * 32))
    assert reader.ended_at is None and reader.invocation == "a" * 32
    reader.line(entry("Stopped", **stopped, _BOOT_ID="b" * 32))
    assert reader.ended_at == 1795534767.589108


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"__REALTIME_TIMESTAMP":"x"}', b"\xff\xfe", b'{"a":' * 5000])
def test_broken_lines_are_passed_over(raw: bytes) -> None:
    assert kinds_of(raw, b'{"__REALTIME_TIMESTAMP":"1","_PID":"1",' + raw) == []
