# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask many RPC endpoints within one deadline. PRIVATE to the collection.

Two passes. All are asked for what is small and answered without a lock, ``/status`` and then ``/abci_info``, by one
thread that waits for all of them together: a thousand take half a second of one core (measured), and a dead one takes
nothing. A sample of those that answered is then asked for more, in threads: a consensus state of 200 validators has
100 kB, and 5 ms are needed to read it, so that all of a thousand would cost 5 s to be told the same a thousand times.
"""

from __future__ import annotations

import collections
import queue
import secrets
import threading
import time
import typing as t
from dataclasses import dataclass, field

from ....module_utils._cometbft import answers as cometbft_answers
from ....module_utils._cometbft import dialable, rpc
from ....module_utils._host import http_one as _http
from ....module_utils._host import json as _rpc_json
from ....module_utils._host.http_many import Many, Question, Reply
from ....module_utils._host.parts import PartError, clean, failed, stamp
from . import answers, screen

LIGHT = ("status", "abci_info")
WHOLE = tuple(name for name in rpc.PARTS if name not in LIGHT)
# What differs from one honest node to the next. The rest (validators, commits, ...) is the chain's, and four tell it:
# each more costs Ansible, which hands a result through three processes, 100 ms where there are 200 validators.
VIEW = ("consensus", "net_info")
WHOLE_OF = 4
FULL_S = 6.0  # what one endpoint has for everything, as the RPC of a host has
# Bytes that the parts of one endpoint may have as JSON. An honest one with 200 validators, 40 peers and every vote of
# four rounds needs 270 kB (measured): of 24 that lie, twice that goes through Ansible and into the evidence.
FULL_SIZE = 512 * 1024
FULL_AT_ONCE = 16  # each may hold a dozen answers of 768 KiB before they are read
SMALL = 64 * 1024  # an honest answer has 2 kB
LARGE = _rpc_json.TREE_CAP  # /net_info: some 2 kB for each peer
PATIENCE_S = 3.0  # or a third of the deadline; see _Run._over
CALM_S = 1.0
SETTLED_S = 0.3
PEER_QUESTIONS = 128  # how many endpoints are asked for their peers at most
PEER_QUESTIONS_AT_ONCE = 8
PEERS_READ = 500  # of one answer
OF_ONE_ADDRESS = 4  # endpoints at one IPv4 address or in one /64 of IPv6 that are dialled
SAY_AFTER_S = 3.0
SAY_EVERY_S = 2.0


# What ``probe`` returns where there is nobody to ask.
NOTHING: dict[str, t.Any] = {
    **answers.tally([]),
    "observations": [],
    "chain_id": None,
    "disagreements": [],
    "same_node": [],
    "discovered": [],
    "skipped_addresses": {},
    "in_full": [],
    "seconds": 0.0,
    "at": None,
    "summary": [],
}


@dataclass(frozen=True)
class Order:
    """What is to be probed; see the options of the module ``chain_probe``."""

    endpoints: t.Sequence[str]
    chain_id: t.Optional[str] = None
    discover: bool = False
    discover_limit: int = 100
    deadline_s: float = 10.0
    parallel: int = 64
    validate_certs: bool = True
    ca_path: t.Optional[str] = None
    look: int = 1


@dataclass
class Endpoint:
    """One endpoint, and what has come of it. ``source``: which endpoint named it, None for one that was listed."""

    where: _http.Target
    source: t.Optional[str] = None
    at: t.Optional[str] = None
    parts: dict[str, t.Any] = field(default_factory=dict)
    error: t.Optional[dict[str, str]] = None

    @property
    def settled(self) -> bool:
        return self.at is not None

    def observation(self, look: int) -> dict[str, t.Any]:
        """The contract's observation."""
        seen = {"source": "cometbft_info", "host": self.where.url, "look": look, "at": self.at or _now()}
        if self.parts:
            return {**seen, "ok": True, "data": self.parts}
        late = {"kind": "late", "text": f"status of {self.where.url}: no answer in time"}
        return {**seen, "ok": False, "error": self.error or late}


def _now() -> str:
    return stamp(time.time())


def probe(order: Order, say: t.Callable[[str], None]) -> dict[str, t.Any]:
    """Probe, for at most ``order.deadline_s`` seconds. ``say`` gets a line of progress now and then.

    Raises ValueError, with a sentence for people, for an address that is none. Nothing else is raised.
    """
    targets = {}
    for url in order.endpoints:
        try:
            where = _http.target(url, order.validate_certs, order.ca_path)
        except ValueError as error:
            raise ValueError(f"{clean(url, 100)}: {error}") from None
        targets[where.url] = where
    with Many(order.parallel) as many:
        run = _Run(order, targets, many, say)
        run.go()
        return run.result()


class _Run:
    def __init__(
        self, order: Order, targets: dict[str, _http.Target], many: Many, say: t.Callable[[str], None]
    ) -> None:
        self._order = order
        self._many = many
        self._say = say
        self._began = time.monotonic()
        self._until = self._began + order.deadline_s
        self._endpoints = {url: Endpoint(where) for url, where in targets.items()}
        self._listed = set(targets)
        self._asked_at = self._heard = self._began
        self._answered = False
        self._changed = False
        self._said = SAY_AFTER_S
        self._full = _InFull(order, self._until)
        self._chosen: list[str] = []
        self._peers = collections.deque[str]()
        self._peers_asked = 0
        self._peers_open = 0
        self._at_address: collections.Counter[str] = collections.Counter()
        self._named: set[str] = set(targets)
        self._skipped: collections.Counter[str] = collections.Counter()

    def go(self) -> None:
        """Everything, until nothing more is to come or the deadline is there."""
        for url in self._endpoints:
            self._ask(url, "status", "/status", SMALL)
        while not self._over():
            for reply in self._many.step(min(0.05, max(self._until - time.monotonic(), 0))):
                self._take(reply)
            for url, parts in self._full.done():
                self._endpoints[url].parts.update(parts)
            self._ask_for_peers()
            self._ask_in_full()
            self._progress()

    def _over(self) -> bool:
        """The deadline; or all is done; or only the silent are left, and they have had their time.

        Once somebody has answered, the silent are not waited for to the end: /status needs no lock, so what has not
        come within ``PATIENCE_S`` is waited for only as long as other answers keep coming (the line may be slow, or
        this machine) and until the full answers are in.
        """
        moment = time.monotonic()
        if moment >= self._until:
            return True
        if self._full.busy or self._waits_to_choose():
            return False
        patient = moment - self._asked_at < min(PATIENCE_S, self._order.deadline_s / 3)
        return not self._many.busy or (self._answered and not patient and moment - self._heard > CALM_S)

    def _ask(self, url: str, name: str, query: str, cap: int) -> None:
        if name != "abci_info":
            self._asked_at = time.monotonic()
        self._many.ask(Question((url, name), self._endpoints[url].where, query, cap, self._until))

    def _take(self, reply: Reply) -> None:
        url, name = reply.key
        try:
            part = {"ok": True, "data": self._read(name, reply)}
            self._heard = time.monotonic()
        except PartError as error:
            part = failed(error.kind, f"{name} of {url}: {error.text}")
        endpoint = self._endpoints[url]
        if name == "net_info":
            self._peers_open -= 1
            if part["ok"]:
                self._meet(url, part["data"]["peers"])
            return
        if name == "status":
            endpoint.at = _now()
            if not part["ok"]:
                endpoint.error = part["error"]
                return
            self._answered = True
            self._peers.append(url)
            # CometBFT lets caches keep this answer for a day; an argument it ignores makes each question a new one.
            self._ask(url, "abci_info", f"/abci_info?look={secrets.token_hex(4)}", SMALL)
        endpoint.parts[name] = part
        self._changed = True

    @staticmethod
    def _read(name: str, reply: Reply) -> t.Any:
        if reply.answer is None:
            raise reply.error or PartError("failed", "no answer")
        result = rpc.result_of(reply.body, reply.answer)
        if name == "status":
            return {**cometbft_answers.status(result), "server_time": rpc.server_time(reply.answer)}
        return cometbft_answers.abci_info(result) if name == "abci_info" else cometbft_answers.net_info(result)

    # The sample that is asked for everything.

    def _waits_to_choose(self) -> bool:
        """Whether answers have come that may make another endpoint worth a full question."""
        return self._changed and self._until - time.monotonic() > 0.5

    def _ask_in_full(self) -> None:
        """Choose when answers stop coming for a moment; of few endpoints each is asked as soon as it has answered."""
        moment = time.monotonic()
        few = len(self._endpoints) <= answers.IN_FULL and not self._order.discover
        late = moment - self._began > self._order.deadline_s / 2
        if not self._changed or not (few or late or not self._many.busy or moment - self._heard > SETTLED_S):
            return
        self._changed = False
        seen = self._observations()
        chain = answers.chain_of(seen, self._order.chain_id)
        fresh = answers.in_full(seen, chain, self._chosen)
        contradicting = answers.contradicting(seen, chain) if fresh else set()
        for url in fresh:
            whole = len(self._chosen) < WHOLE_OF or url in contradicting
            self._chosen.append(url)
            self._full.ask(url, WHOLE if whole else VIEW)

    # Discovery.

    def _ask_for_peers(self) -> None:
        """Breadth first: in the order in which they answered, and those that were named come after those that named."""
        if not self._order.discover or time.monotonic() - self._began > self._order.deadline_s / 2:
            return
        while self._peers and self._peers_open < PEER_QUESTIONS_AT_ONCE and self._peers_asked < PEER_QUESTIONS:
            if self._found() >= self._order.discover_limit:
                return
            url = self._peers.popleft()
            self._peers_asked += 1
            self._peers_open += 1
            self._ask(url, "net_info", "/net_info", LARGE)

    def _meet(self, source: str, peers: list[dict[str, t.Any]]) -> None:
        for peer in peers[:PEERS_READ]:
            url, word = dialable.rpc_of_peer(peer["remote"], peer["rpc_address"])
            # Each is counted once, however many name it.
            name = url or f"{peer['remote']} {peer['rpc_address']}"
            if name in self._named or name in self._endpoints:
                continue
            # A hostile node may name addresses without end, and may have them counted twice.
            if len(self._named) < 50 * self._order.discover_limit + len(self._listed):
                self._named.add(name)
            if url is not None:
                place = dialable.neighbourhood(peer["remote"])
                if self._found() >= self._order.discover_limit or self._at_address[place] >= OF_ONE_ADDRESS:
                    word = "limit"
                else:
                    self._at_address[place] += 1
                    self._endpoints[url] = Endpoint(_http.target(url), source)
                    self._ask(url, "status", "/status", SMALL)
                    continue
            self._skipped[word] += 1

    def _found(self) -> int:
        return len(self._endpoints) - len(self._listed)

    # What comes of it.

    def _progress(self) -> None:
        passed = time.monotonic() - self._began
        if passed < self._said:
            return
        self._said = passed + SAY_EVERY_S
        done = sum(1 for one in self._endpoints.values() if one.settled)
        dead = sum(1 for one in self._endpoints.values() if one.error is not None)
        left = max(self._order.deadline_s - passed, 0)
        self._say(f"asked {done} of {len(self._endpoints)}, {dead} dead, {left:.0f} s left")

    def _observations(self) -> list[dict[str, t.Any]]:
        return [one.observation(self._order.look) for one in self._endpoints.values()]

    def result(self) -> dict[str, t.Any]:
        """What the module returns."""
        for url, one in self._endpoints.items():
            if one.parts and "abci_info" not in one.parts:
                one.parts["abci_info"] = failed("late", f"abci_info of {url}: no answer in time")
        observations = self._observations()
        chain = answers.chain_of(observations, self._order.chain_id)
        discovered = [
            {"url": url, "from": one.source} for url, one in self._endpoints.items() if one.source is not None
        ]
        skipped = dict(sorted(self._skipped.items()))
        return {
            **answers.tally(observations),
            "observations": observations,
            "chain_id": chain,
            "disagreements": answers.disagreements(observations, chain),
            "same_node": answers.same_node(observations),
            "discovered": discovered,
            "skipped_addresses": skipped,
            "in_full": list(self._chosen),
            "seconds": round(time.monotonic() - self._began, 3),
            "at": _now(),
            "summary": screen.lines(observations, chain, len(discovered), skipped),
        }


class _InFull:
    """Endpoints asked for everything, in threads that are not waited for beyond the deadline."""

    def __init__(self, order: Order, until: float) -> None:
        self._order = order
        self._until = until
        self._todo: queue.SimpleQueue[tuple[str, tuple[str, ...]]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, dict[str, t.Any]]] = queue.SimpleQueue()
        # One tree at a time among all of them: hostile answers of each together would cost gigabytes.
        self._tree = threading.Lock()
        self._open = 0
        self._threads = 0

    @property
    def busy(self) -> bool:
        return self._open > 0

    def ask(self, url: str, parts: tuple[str, ...]) -> None:
        self._open += 1
        self._todo.put((url, parts))
        if self._threads < min(self._order.parallel, FULL_AT_ONCE, self._open):
            self._threads += 1
            threading.Thread(target=self._work, daemon=True).start()

    def done(self) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
        """The endpoints that have been asked since the last call, with the parts they gave."""
        while True:
            try:
                answer = self._done.get_nowait()
            except queue.Empty:
                return
            self._open -= 1
            yield answer

    def _work(self) -> None:
        # Until the process of the task ends: it waits for no daemon.
        while True:
            url, wanted = self._todo.get()
            left = min(FULL_S, self._until - 0.2 - time.monotonic())
            parts = {}
            if left > 0:
                order = self._order
                parts = rpc.gather(
                    url,
                    left,
                    parts=wanted,
                    validate_certs=order.validate_certs,
                    ca_path=order.ca_path,
                    tree=self._tree,
                    size=FULL_SIZE,
                )
            self._done.put((url, parts))
