# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the RPC of a node shows, as parts that fail one by one. PRIVATE to the collection."""

from __future__ import annotations

import functools
import itertools
import json
import secrets
import threading
import time
import typing as t

from .._host import http_one as _http
from .._host import json as _rpc_json
from .._host.parts import PartError, clean, failed, stamp
from . import answers, consensus, slashing
from .fields import INT64, nanoseconds, whole

PARTS = ("status", "abci_info", "consensus", "net_info", "validators", "blocks", "commits", "mempool", "jailed")

_PAGES = 100  # of /validators, 100 validators on each: CometBFT's largest set
# Of an answer above the tree's cap. Three copies of the largest block (proposed, locked, valid) in base64 are larger;
# /consensus_state, which is asked then, holds no block.
_STREAM_CAP = 64 * 1024 * 1024
# After these errors of /dump_consensus_state the smaller /consensus_state may still answer.
_ASK_SHORT = ("http", "rpc", "malformed", "too_large", "late", "failed")
_LAST_SECOND = 253402300799  # of the year 9999
_WEIGHT = 8  # what a consensus state weighs before it is shaped, by the estimate of _rpc_json, in sizes of afterwards
_MOVED = 3  # looks at /consensus_state until its height stands still between two of them

Shape = t.Callable[[t.Any], t.Any]


def gather(
    base_url: str,
    deadline_s: float,
    commits: int = 5,
    parts: t.Optional[t.Sequence[str]] = None,
    validate_certs: bool = True,
    ca_path: t.Optional[str] = None,
    tree: t.Optional[threading.Lock] = None,
    size: t.Optional[int] = None,
) -> dict[str, dict[str, t.Any]]:
    """Ask one node's RPC for everything at once.

    base_url: "http://host:port" or "https://host:port"; deadline_s: seconds for all of it together;
    commits: how many of the newest commits to read; parts: names out of PARTS, all when None;
    validate_certs, ca_path: see ``_http.target``; tree: what is held while an answer is a tree in memory, to be shared
    by calls that run at the same time; size: bytes of JSON that all parts together may have, of an untrusted RPC.
    Returns {name: part} in at most ``deadline_s``, and raises nothing for what the node does: each part is
    ``{"ok": True, "data": ...}`` or ``{"ok": False, "error": {"kind", "text"}}``. Of kind ``too_large`` are, in the
    order of PARTS, those that ``size`` has no room for.
    """
    wanted = [name for name in PARTS if parts is None or name in parts]
    try:
        where = _http.target(base_url, validate_certs, ca_path)
    except ValueError as error:
        return {name: failed("cannot_tell", str(error)) for name in wanted}
    look = _Look(where, time.monotonic() + deadline_s, commits, tree or threading.Lock(), size)
    return look.parts(wanted)


class _Jobs:
    """Calls in threads that nobody waits for longer than until the one end."""

    def __init__(self, until: float) -> None:
        self.until = until
        self._results: dict[str, t.Any] = {}
        self._changed = threading.Condition()

    def start(self, name: str, call: t.Callable[[], t.Any]) -> None:
        """Run a call under a name. A daemon: a name server that hangs must not keep the process from ending."""
        threading.Thread(target=self._run, args=(name, call), daemon=True).start()

    def _run(self, name: str, call: t.Callable[[], t.Any]) -> None:
        try:
            result = call()
        except PartError as error:
            # A new one: the old holds on to the frames it was raised in, and so to whole answers.
            result = PartError(error.kind, error.text)
        except Exception as error:
            # One hostile answer that finds a hole here must not take the other parts with it.
            result = PartError("failed", f"the answer could not be read ({type(error).__name__})")
        with self._changed:
            self._results[name] = result
            self._changed.notify_all()

    def get(self, name: str) -> t.Any:
        """What a call returned. Raises the PartError it raised, or one of kind ``late``."""
        with self._changed:
            self._changed.wait_for(lambda: name in self._results, max(self.until - time.monotonic(), 0))
            result = self._results.get(name, PartError("late", "no answer in time; the node may be busy or hang"))
        if isinstance(result, PartError):
            raise PartError(result.kind, result.text)
        return result


class _Look:
    """One look at one RPC."""

    def __init__(
        self, where: _http.Target, until: float, commits: int, tree: threading.Lock, size: t.Optional[int]
    ) -> None:
        self._where = where
        self._until = until
        self._commits = commits
        self._jobs = _Jobs(until)
        # One tree at a time: a hostile answer to every question would cost the memory of all of them together.
        self._tree = tree
        self._size = size
        self._kept_cap = _rpc_json.KEPT_CAP if size is None else min(_WEIGHT * size, _rpc_json.KEPT_CAP)

    def parts(self, wanted: list[str]) -> dict[str, dict[str, t.Any]]:
        calls = {
            "status": lambda: self._ask("/status", answers.status, stamped=True),
            # CometBFT lets caches keep this answer for a day; an argument it ignores makes each question a new one.
            "abci_info": lambda: self._ask(f"/abci_info?look={secrets.token_hex(4)}", answers.abci_info),
            "consensus": self._consensus,
            "net_info": lambda: self._ask("/net_info", answers.net_info),
            "validators": lambda: self._validators(None),
            "blocks": self._blocks,
            "commits": self._newest_commits,
            "mempool": lambda: self._ask("/num_unconfirmed_txs", answers.mempool),
            "jailed": self._jailed,
        }
        # Which blocks and commits are the newest is what the status says, and what time it is on the chain.
        needed = {*wanted, *(["status"] if {"blocks", "commits", "jailed"} & set(wanted) else [])}
        for name in PARTS:
            if name in needed:
                self._jobs.start(name, calls[name])
        parts = {name: self._part(name) for name in wanted}
        return parts if self._size is None else self._bounded(parts, self._size)

    def _bounded(self, parts: dict[str, dict[str, t.Any]], room: int) -> dict[str, dict[str, t.Any]]:
        kept = {}
        for name, part in parts.items():
            weight = len(json.dumps(part))
            if part["ok"] and weight > room:
                text = f"it takes {weight} bytes, and {self._size} are kept of all that one endpoint shows"
                kept[name] = failed("too_large", f"{name} of {self._where.url}: {text}")
            else:
                room -= weight
                kept[name] = part
        return kept

    def _part(self, name: str) -> dict[str, t.Any]:
        try:
            return {"ok": True, "data": self._jobs.get(name)}
        except PartError as error:
            return failed(error.kind, f"{name} of {self._where.url}: {error.text}")

    def _ask(self, query: str, shape: Shape, stamped: bool = False) -> t.Any:
        """Ask, and shape the result, with the server's time in it where ``stamped``. One above the cap is an error."""
        with _http.get(self._where, query, self._until) as answer:
            body, whole_body = answer.head(_rpc_json.TREE_CAP)
            if not whole_body:
                raise PartError("too_large", f"the answer is larger than {_rpc_json.TREE_CAP} bytes; it is not read")
            shaped = self._one_tree(lambda: shape(result_of(body, answer)))
            return {**shaped, "server_time": server_time(answer)} if stamped else shaped

    def _one_tree(self, call: t.Callable[[], t.Any]) -> t.Any:
        with self._tree:
            try:
                return call()
            except PartError as error:
                # As it is, it holds on to the frames it was raised in, and so to the tree.
                bare = PartError(error.kind, error.text)
        raise bare

    def _ask_state(self, query: str, until: float, shape: t.Callable[[t.Any, bool], t.Any]) -> t.Any:
        """Ask for a consensus state, which is read from the stream when it is above the cap."""
        with _http.get(self._where, query, until) as answer:
            body, whole_body = answer.head(_rpc_json.TREE_CAP)
            if whole_body:
                return self._one_tree(lambda: shape(result_of(body, answer), False))
            pieces: t.Iterator[_rpc_json.Bytes] = itertools.chain([body], answer.chunks())
            pieces = _at_most(pieces, _STREAM_CAP)
            return shape(_result(_rpc_json.prune(pieces, consensus.WANTED, self._kept_cap), answer), True)

    def _consensus(self) -> dict[str, t.Any]:
        # Half the time, so that an answer too long for it leaves time to ask for the shorter one.
        half = (time.monotonic() + self._until) / 2
        try:
            return t.cast("dict[str, t.Any]", self._ask_state("/dump_consensus_state", half, consensus.dumped))
        except PartError as error:
            if error.kind not in _ASK_SHORT:
                raise
            first = error
        try:
            return self._short_consensus()
        except PartError as second:
            text = f"/dump_consensus_state: {first.text}; /consensus_state: {second.text}"
            raise PartError(first.kind, text) from None

    def _short_consensus(self) -> dict[str, t.Any]:
        for _attempt in range(_MOVED):
            height = self._ask_state("/consensus_state", self._until, _height_of)
            rows = self._validators(height)["validators"]
            state = self._ask_state("/consensus_state", self._until, functools.partial(_short_at, height, rows))
            if state is not None:
                return t.cast("dict[str, t.Any]", state)
        raise PartError("cannot_tell", "the height moves faster than it can be read; look again")

    def _validators(self, height: t.Optional[int]) -> dict[str, t.Any]:
        """All pages of the validators at a height, of the newest set when None."""
        rows: list[dict[str, t.Any]] = []
        for number in range(1, _PAGES + 1):
            pinned = "" if height is None else f"&height={height}"
            page = self._ask(f"/validators?page={number}&per_page=100{pinned}", answers.validators_page)
            if height not in (None, page.height):
                raise PartError("malformed", f"page {number} of the validators is not of height {height}")
            height = page.height
            rows.extend(page.rows)
            if len(rows) >= page.total or not page.rows:
                break
        if len(rows) != page.total or not rows:
            raise PartError("malformed", f"the pages hold {len(rows)} validators and say there are {page.total}")
        answers.check_set(rows, "result")
        return {"height": height, "total": page.total, "validators": rows}

    def _blocks(self) -> t.Any:
        top = self._newest()
        low = max(top - answers.BLOCKS + 1, 1)
        # The heights are named because caches may keep the answer for "the newest".
        return self._ask(f"/blockchain?minHeight={low}&maxHeight={top}", answers.blocks)

    def _newest_commits(self) -> dict[str, t.Any]:
        top = self._newest()
        heights = list(range(top, max(top - self._commits, self._jobs.get("status")["earliest_height"] - 1, 0), -1))
        for height in heights:
            self._jobs.start(f"commit {height}", functools.partial(self._commit, height))
        commits, error = [], None
        for height in heights:
            try:
                commits.append(self._jobs.get(f"commit {height}"))
            except PartError as problem:
                error = error or problem
        if error and not commits:
            raise error
        self._name_absent(commits)
        return {"commits": [one.shape for one in commits]}

    def _commit(self, height: int) -> t.Any:
        return self._ask(f"/commit?height={height}", lambda result: answers.commit(result, height))

    def _name_absent(self, commits: list[answers.Commit]) -> None:
        """A commit names only who voted; the set it was made by (the same hash, the same set) says who did not."""
        sets: dict[str, list[str]] = {}
        for one in commits:
            if one.shape["absent"] is None:
                if one.validators_hash not in sets:
                    sets[one.validators_hash] = self._addresses(one.shape["height"])
                answers.name_absent(one, sets[one.validators_hash])

    def _addresses(self, height: int) -> list[str]:
        try:
            return [row["address"] for row in self._validators(height)["validators"]]
        except PartError:
            return []

    def _jailed(self) -> dict[str, t.Any]:
        # Both questions are under way at once: the status is waited for when the infos are there.
        infos = slashing.read(self._ask)
        newest = nanoseconds(self._of_newest("block_time"))
        return slashing.jailed(infos, newest or 0)

    def _newest(self) -> int:
        """The height of the newest block."""
        return t.cast(int, self._of_newest("height"))

    def _of_newest(self, key: str) -> t.Any:
        """What the status says of the newest block."""
        try:
            value = self._jobs.get("status")[key]
        except PartError as error:
            raise PartError(error.kind, f"the newest block is not known, because status fails: {error.text}") from None
        if not value:
            raise PartError("absent", "no block is there yet")
        return value


def _height_of(result: t.Any, _truncated: bool) -> int:
    return consensus.short_height(result)


def _short_at(height: int, rows: list[dict[str, t.Any]], result: t.Any, truncated: bool) -> t.Any:
    """The short state when it is still at the height of these validators, else None."""
    if consensus.short_height(result) != height:
        return None
    return consensus.short(result, rows, truncated)


def result_of(body: bytearray, answer: _http.Answer) -> t.Any:
    """The result in the whole body of an answer. Raises PartError for whatever else the body is."""
    return _result(_tree(body, answer), answer)


def server_time(answer: _http.Answer) -> t.Optional[str]:
    """The clock of the answering side, RFC 3339 in whole seconds; None where it does not tell a believable one."""
    clock = answer.server_time
    return None if clock is None or clock > _LAST_SECOND else f"{stamp(clock)[:19]}Z"


def _tree(body: bytearray, answer: _http.Answer) -> t.Any:
    try:
        return _rpc_json.loads(body)
    except PartError as error:
        if answer.status != 200:
            text = f"HTTP status {answer.status} without a usable body ({answer.content_type or 'no content type'})"
            raise PartError("http", f"{text}; look at the node or its proxy") from None
        raise PartError(error.kind, f"{error.text} ({answer.content_type or 'no content type'})") from None


def _result(tree: t.Any, answer: _http.Answer) -> t.Any:
    """The result in an answer of JSON-RPC. An error object is told whatever the HTTP status is."""
    if not isinstance(tree, dict) or tree.get("jsonrpc") != "2.0":
        if answer.status != 200:
            raise PartError("http", f"HTTP status {answer.status} with a body that is no JSON-RPC")
        raise PartError("malformed", "the answer is not one of JSON-RPC 2.0; does another service listen there?")
    error = tree.get("error")
    if error is not None:
        if not isinstance(error, dict):
            raise PartError("malformed", "the error in the answer is not an object")
        message = " ".join(clean(error.get(key), 200) for key in ("message", "data") if isinstance(error.get(key), str))
        code = whole(error.get("code"))
        raise PartError("rpc", f"error {code if code is not None and abs(code) <= INT64 else '?'}: {message}")
    # An answer to a GET carries the id -1 (rpc/jsonrpc/server/http_uri_handler.go): another one is not for us.
    if isinstance(tree.get("id"), (bool, float)) or tree.get("id") != -1:
        raise PartError("malformed", "the answer does not carry the id -1 of an answer to GET")
    if answer.status != 200:
        raise PartError("http", f"HTTP status {answer.status} with a result")
    if tree.get("result") is None:
        raise PartError("absent", "the node does not have it (the result is null)")
    return tree["result"]


def _at_most(pieces: t.Iterator[_rpc_json.Bytes], cap: int) -> t.Iterator[_rpc_json.Bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > cap:
            raise PartError("too_large", f"the answer is larger than {cap} bytes")
        yield piece
