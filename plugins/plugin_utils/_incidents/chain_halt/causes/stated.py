# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes that a journal states and a setting or the binary explains: upgrades, halt heights, the double-sign check."""

from __future__ import annotations

import re
import typing as t

from ...._chain.node import NodeEvidence
from ...._chain.reading.types import DOWN, Node
from ...._chain.stated import halted_by, stated
from ...._path.evidence import values
from ...._path.text import clean
from .context import Halt, HaltCause, Unclear, current, reason_is

# x/upgrade, keeper/abci.go: the panic of a node whose binary has no handler for the plan that is due.
# In a logged error its quotation marks are escaped.
_PLAN = re.compile(r'UPGRADE \\?"([^"\\]{1,64})\\?" NEEDED at height: (\d{1,19})')
_REMEDY_OF_DOUBLE_SIGN_CHECK = ("relax_double_sign_check", "start_node", "restore_double_sign_check")


def _upgrade_needed(halt: Halt, node: Node) -> t.Optional[str]:
    if node.data is None:
        return None
    if reason_is(node, ("upgrade_needed",)) is None or node.reason is None:
        return _has_the_binary_that_lacks_it(halt, node, node.data)
    plan = _PLAN.search(node.reason.text)
    file = node.data.upgrade.inner("plan")
    if plan is not None:
        due = f"upgrade {clean(plan[1], 40)} is due at height {plan[2]}"
    elif file is not None:
        due = f"upgrade {clean(file.text('name'), 40)} is due at height {file.integer('height')}"
    else:
        due = "an upgrade is due"
    there = node.data.upgrade.flag("upgrade_binary_present")
    binary = {True: "its binary is there", False: "its binary is not there", None: "the binary that runs lacks it"}
    return f"{due}, {binary[there]}"


def _has_the_binary_that_lacks_it(halt: Halt, node: Node, data: NodeEvidence) -> t.Optional[str]:
    """A node that went down before the upgrade was due would run into it at its start."""
    mine = data.binary.text("sha256")
    if node.state not in DOWN or node.reason is not None or mine is None:
        return None
    for other in halt.reading.nodes.values():
        waits = other.data is not None and reason_is(other, ("upgrade_needed",)) is not None
        if waits and other.data is not None and other.data.binary.text("sha256") == mine:
            return f"it is down, and has the binary that lacks the upgrade on {clean(other.host, 40)}"
    return None


def _wrong_binary(_halt: Halt, node: Node) -> t.Optional[str]:
    words = reason_is(node, ("wrong_app_version", "binary_too_new"))
    if words is None or node.data is None:
        return None
    kind = (
        "newer than the upgrade that is due" if current(node.data, "binary_too_new") else "older than the chain's state"
    )
    return f"the binary {(node.data.binary.text('sha256') or 'that it has')[:12]} is {kind}: {words}"


def _halt_height(halt: Halt, node: Node) -> t.Optional[str]:
    if node.data is None:
        return None
    # A crash loop that somebody stopped has no reason of its own any more; its journal has.
    in_journal = node.state in DOWN and any(
        mark.kind == "halt_height" for mark in stated(halt.reading, node, node.data)
    )
    if not in_journal and reason_is(node, ("halt_height",)) is None:
        earlier = node.state in DOWN and current(node.data, "halt_height") is not None
        return (
            Unclear("its journal names a halt height, and votes of it are seen that may be later") if earlier else None
        )
    height, moment = node.data.setting("halt_height"), node.data.setting("halt_time")
    source = node.data.config.inner("halt_height")
    where = source.text("source") if source is not None else None
    by = halted_by(halt.reading, node, node.data)
    # What the journal names is why it stopped; the configuration may name the next halt already.
    before = f"it stopped at halt-height {by[0]}, and now " if by and by[0] and by[0] != height else ""
    if isinstance(height, int) and height > 0:
        return f"{before}halt-height is {height}" + (f" ({where})" if where else "")
    if isinstance(moment, int) and moment > 0:
        return f"{before}halt-time is {values.stamp(float(moment))}"
    at = f"halt height {by[0]}" if by and by[0] else "a halt height"
    return f"it stopped at {at} that its configuration no longer names"


def _double_sign_check(_halt: Halt, node: Node) -> t.Optional[str]:
    words = reason_is(node, ("double_sign_check",))
    if words is None or node.data is None:
        return None
    return f"double_sign_check_height is {node.data.setting('double_sign_check_height')}: {words}"


def _other_genesis(halt: Halt, node: Node) -> t.Optional[str]:
    if node.data is None:
        return None
    genesis = node.data.genesis
    name, digest = genesis.text("chain_id") or node.data.rpc.status.text("chain_id"), genesis.text("sha256")
    words = (
        f"its genesis is of chain {clean(name, 60) or 'not known'} (SHA-256 {digest[:12] if digest else 'not known'})"
    )
    if not node.chain_ok:
        return f"{words}, another than the others have"
    if digest is None:
        return Unclear("its genesis file cannot be seen")
    others = halt.genesis_files
    # Equally many hosts have each: nobody is set aside, and nobody is right.
    return Unclear(f"{words}, and others have another") if others != {digest} else None


def _genesis_in_future(_halt: Halt, node: Node) -> t.Optional[str]:
    if node.data is None:
        return None
    due, now = node.data.genesis.time("genesis_time"), node.data.now
    slept = current(node.data, "genesis_future") is not None
    if due is not None and now is not None:
        words = f"the genesis time is {values.stamp(due)}, {int(due - now)} s from now: it sleeps until then"
        # Only a node that is past its genesis time answers: where it does, its clock or its file is wrong.
        return None if due <= now else Unclear(f"{words}, but it answers") if node.data.rpc.status.ok else words
    return Unclear("it slept until the genesis time, which cannot be seen") if slept else None


UPGRADE_NEEDED = HaltCause(
    "upgrade_needed",
    "a planned upgrade waits for its binary",
    "The height of a planned upgrade is reached, and nodes of ours run without its binary",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_upgrade_needed,
    forbids=("start_node", "thaw_node"),
    signs='The journal has UPGRADE "name" NEEDED at height; data/upgrade-info.json names the plan. /status is '
    "one block above /abci_info while the node lives. cosmovisor's folder shows whether the binary is "
    "there.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -F 'NEEDED at height'",
        "cat ~virtengine/.virtengine/data/upgrade-info.json; sha256sum /usr/bin/virtengine",
        "curl -s http://127.0.0.1:26657/abci_info | jq .result.response.last_block_height   # one below /status",
    ),
    next="Install the named binary on {hosts}, compare its checksum with the release, then start the unit.",
    decide="Not automatable: which binary is the right one. Install the released one. "
    "Nothing is rolled back, and the upgrade is not skipped unless more than two thirds of the power agree to. All stand at "
    "one height: once the binary is on each node, they may be started together; before, a start only ends what answers.",
    message="The chain stands at height {height}, where a planned upgrade is due. It goes on when more than two "
    "thirds of the power run the released binary. Please install it, compare its checksum, start your node on the same "
    "host with the same data, and do not roll back or reset anything.",
)
WRONG_BINARY = HaltCause(
    "wrong_binary",
    "the binary does not fit this height",
    "Nodes of ours run a binary that is older or newer than the state of the chain",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_wrong_binary,
    forbids=("start_node", "thaw_node"),
    signs='The journal has "upgrade handler is missing for ... upgrade plan" (too old) or "BINARY UPDATED '
    'BEFORE TRIGGER!" (too new).',
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -E 'upgrade handler is missing|BINARY UPDATED'",
        "virtengine version --long | head -5; sha256sum /usr/bin/virtengine",
    ),
    next="Put the binary that the others run on {hosts}, compare the checksum, then start the unit.",
    decide="Operator decision: install the right binary. Too old needs the upgrade's, too new the one before it.",
)
HALT_HEIGHT = HaltCause(
    "halt_height",
    "a halt height or halt time is set",
    "Nodes of ours stopped at a halt height or halt time that their configuration sets",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_halt_height,
    justifies=("stop_node", "clear_halt_height", "start_node"),
    signs='The journal has "halt per configuration height"; app.toml, a flag or a variable of the unit sets '
    "halt-height or halt-time. /status is one block above /abci_info while the node lives.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -F 'halt per configuration height'",
        "grep -E '^halt-(height|time)' ~virtengine/.virtengine/config/app.toml; systemctl cat virtengine.service",
    ),
    next="Ask who set the halt height on {hosts}: it may be a coordinated halt. The plan clears it once you say that it is over.",
    decide="Operator decision: a halt height may be a halt that operators agreed on. Ask them, and say that it is "
    "over with incident_halt_is_over=HEIGHT and a reason; then the plan clears it.",
    message="Nodes of ours stand at a halt height, at {height}. Is this a halt that was agreed on, and is it over? Please "
    "tell us before you change yours.",
)
DOUBLE_SIGN_CHECK = HaltCause(
    "double_sign_check",
    "double_sign_check_height stops the start",
    "Nodes of ours refuse to start beside their own recent votes, which on a halted chain stay recent for ever",
    "1. Chain Halted, Resolution Step 2",
    detect=_double_sign_check,
    justifies=_REMEDY_OF_DOUBLE_SIGN_CHECK,
    signs='The journal has "found signature from the same key" and the unit restarts again and again: on a '
    "halted chain the votes that it finds stay recent.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -F 'found signature from the same key'",
        "grep -F double_sign_check_height ~virtengine/.virtengine/config/config.toml",
    ),
    next="The plan sets double_sign_check_height to 0 for one start on {hosts} and restores it afterwards: read it and approve it.",
)
OTHER_GENESIS = HaltCause(
    "other_genesis",
    "another genesis on one node",
    "Nodes of ours have another genesis file or chain id than the rest",
    "1. Chain Halted, Quick Diagnosis 1",
    detect=_other_genesis,
    forbids=("start_node", "thaw_node"),
    signs="Chain id or SHA-256 of config/genesis.json differ from those that most of the answering hosts have. "
    "The node may run for a block and then compute another application hash.",
    by_hand=(
        "sha256sum ~virtengine/.virtengine/config/genesis.json   # compare between hosts",
        "curl -s http://127.0.0.1:26657/status | jq .result.node_info.network",
    ),
    next="Put the genesis file of the others on {hosts}. What it computed under the wrong one has to be rolled back.",
    decide="The right genesis is the one of the chain's release. A node that executed blocks under another one has diverged: "
    "after the file is back, its last block has to be rolled back once (a fleet action), not on more nodes than these.",
)
GENESIS_IN_FUTURE = HaltCause(
    "genesis_in_future",
    "the genesis time is in the future",
    "Nodes of ours sleep until the genesis time",
    "1. Chain Halted, Quick Diagnosis 1",
    None,
    detect=_genesis_in_future,
    forbids=("start_node", "thaw_node"),
    signs="genesis_time is later than the host's clock, and no RPC answers; the journal has \"Genesis time is in "
    'the future. Sleeping until then".',
    by_hand=(
        'grep -o \'"genesis_time": *"[^"]*"\' ~virtengine/.virtengine/config/genesis.json; date -u',
        "journalctl -u virtengine.service --no-pager | grep -F 'Genesis time is in the future'",
    ),
    next="Wait for the genesis time on {hosts}, or correct the clock or the file where they are wrong.",
    decide="Nothing is to be restarted: a start sleeps until the same time.",
)

# A genesis file with a time to come differs from the others' as well: the more telling first.
CAUSES = (UPGRADE_NEEDED, WRONG_BINARY, HALT_HEIGHT, DOUBLE_SIGN_CHECK, GENESIS_IN_FUTURE, OTHER_GENESIS)
