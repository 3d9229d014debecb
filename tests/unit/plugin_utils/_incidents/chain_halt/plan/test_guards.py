# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each guard of a start and of a thaw: what makes it clear, what refuses it, what leaves it open."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import Witness
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import guards
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.guard import blocking
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r

Change = t.Callable[[dict[str, t.Any]], t.Any]


def start(
    raw: dict[str, t.Any] | None = None, votes: tuple[t.Any, ...] = (), others: t.Any = None, **changes: t.Any
) -> dict[str, str]:
    stopped = r.node("vs", r.data() if raw is None else raw, **changes)
    nodes = [stopped, *([r.voter()] if others is None else others)]
    seen = r.reading(nodes, votes={r.ADDRESS_S: votes})
    return r.states(guards.start_guards(r.case(seen, stopped)))


def changed(change: Change) -> dict[str, t.Any]:
    raw = r.data()
    change(raw)
    return raw


def test_a_cleanly_stopped_validator_is_clear() -> None:
    assert set(start().values()) == {"clear"}
    assert set(start(votes=(r.vote(),)).values()) == {"clear"}


def put(part: str, key: str, value: t.Any) -> Change:
    def change(raw: dict[str, t.Any]) -> None:
        raw[part]["data"][key] = value

    return change


def part(name: str, value: t.Any) -> Change:
    return lambda raw: raw.update({name: value})


def setting(key: str, value: t.Any, source: str = "config.toml") -> Change:
    return lambda raw: raw["config"]["data"].update({key: {"value": value, "source": source}})


CASES: list[tuple[str, Change, str, str]] = [
    ("key file unreadable", part("signer", r.error("privilege")), "address", "open"),
    ("key file unreadable: key elsewhere unknown", part("signer", r.error("privilege")), "key_elsewhere", "open"),
    ("key file unreadable: state unseen", part("signer", r.error("privilege")), "signing_state", "open"),
    ("remote signer told", put("signer", "remote", True), "signer", "open"),
    ("remote signer configured", setting("priv_validator_laddr", "tcp://0.0.0.0:1"), "signer", "open"),
    ("state missing", put("signer", "state", None), "signing_state", "open"),
    (
        "state height is text",
        put("signer", "state", {"height": "101", "round": 0, "step": 2}),
        "signing_state",
        "refused",
    ),
    ("state is negative", put("signer", "state", {"height": -1, "round": 0, "step": 2}), "signing_state", "refused"),
    ("state far ahead", put("signer", "state", {"height": 9999, "round": 0, "step": 3}), "signing_state", "open"),
    ("another process", put("process", "others", [{"pid": 9, "state": "S"}]), "other_process", "refused"),
    ("processes unseen", part("process", r.error("privilege")), "other_process", "open"),
    ("unit masked", put("unit", "unit_file_state", "masked"), "unit", "refused"),
    ("unit masked at run time", put("unit", "unit_file_state", "masked-runtime"), "unit", "refused"),
    ("unit load masked", put("unit", "load_state", "masked"), "unit", "refused"),
    ("unit disabled", put("unit", "unit_file_state", "disabled"), "unit", "refused"),
    ("unit not found", part("unit", r.error("absent")), "unit", "refused"),
    ("unit broken", put("unit", "load_state", "bad-setting"), "unit", "refused"),
    ("unit unread", part("unit", r.error("privilege")), "unit", "open"),
    ("unit file state unknown", put("unit", "unit_file_state", None), "unit", "open"),
    ("unit static", put("unit", "unit_file_state", "static"), "unit", "clear"),
    ("other chain", put("genesis", "chain_id", "other-1"), "chain", "refused"),
    ("other genesis", put("genesis", "sha256", "0" * 64), "chain", "refused"),
    ("genesis unread", part("genesis", r.error("privilege")), "chain", "open"),
    ("other binary", put("binary", "sha256", "0" * 64), "binary", "refused"),
    ("binary unread", part("binary", r.error("privilege")), "binary", "open"),
    ("check height 10", setting("double_sign_check_height", 10), "double_sign_check", "refused"),
    ("check height by flag", setting("double_sign_check_height", 10, "flag"), "double_sign_check", "refused"),
    ("check height unread", setting("double_sign_check_height", None), "double_sign_check", "open"),
    ("check height is text", setting("double_sign_check_height", "10"), "double_sign_check", "open"),
    ("check height is true", setting("double_sign_check_height", True), "double_sign_check", "open"),
    ("configuration unread", part("config", r.error("privilege")), "double_sign_check", "open"),
    ("disk full", put("disk", "free_bytes", 1000), "disk", "refused"),
    ("no inodes", put("disk", "inodes_free", 0), "disk", "refused"),
    ("read-only", put("disk", "read_only", True), "disk", "refused"),
    ("inodes not counted", lambda raw: raw["disk"]["data"].update(inodes=0, inodes_free=0), "disk", "clear"),
    ("disk unseen", part("disk", r.error("late")), "disk", "open"),
    ("free space unknown", put("disk", "free_bytes", None), "disk", "open"),
    ("journal unread", part("journal", r.error("privilege")), "journal", "open"),
    ("only ended", put("journal", "marks", [r.mark("exited"), r.mark("peers_given_up")]), "journal", "clear"),
    ("it gave a peer time", put("journal", "marks", [r.mark("peers_backoff")]), "journal", "clear"),
    ("its signer refused to go back", put("journal", "marks", [r.mark("signing_regression")]), "journal", "clear"),
    ("fatal, but of an earlier run", put("journal", "marks", [r.mark("panic", current=False)]), "journal", "clear"),
    ("evidence of a double sign", put("journal", "marks", [r.mark("evidence")]), "journal", "open"),
    ("an unknown kind", put("journal", "marks", [r.mark("brand_new")]), "journal", "refused"),
    ("own signature", put("journal", "marks", [r.mark("double_sign_check")]), "journal", "clear"),
    (
        "own signature as a panic",
        put("journal", "marks", [r.mark("panic", "panic: Failed to start: found signature from the same key")]),
        "journal",
        "clear",
    ),
]
FATAL = [
    "consensus_failure",
    "panic",
    "wrong_app_hash",
    "invalid_block",
    "upgrade_needed",
    "wrong_app_version",
    "halt_height",
    "read_only",
    "io_error",
    "wal_damaged",
    "wal_missing",
    "database_damaged",
    "handshake_failed",
    "signing_state_missing",
    "signing_state_unreadable",
    "conflicting_vote",
    "remote_signer",
    "too_many_open_files",
]


@pytest.mark.parametrize(("what", "change", "name", "state"), CASES, ids=[case[0] for case in CASES])
def test_one_change_moves_its_guard(what: str, change: Change, name: str, state: str) -> None:
    assert start(changed(change))[name] == state


@pytest.mark.parametrize("kind", FATAL)
def test_a_fatal_reason_refuses(kind: str) -> None:
    assert start(changed(put("journal", "marks", [r.mark("exited"), r.mark(kind)])))["journal"] == "refused"


@pytest.mark.parametrize(
    ("kind", "state"), [("io_error", "clear"), ("conflicting_vote", "refused"), ("evidence", "open")]
)
def test_what_was_written_before_its_own_last_vote_did_not_stop_it(kind: str, state: str) -> None:
    raw = changed(put("journal", "marks", [r.mark(kind)]))
    written = raw["journal"]["data"]["marks"][0]["last_at"]
    assert start(raw, (r.vote(at=written.replace("11:59:", "11:58:")),))["journal"] != "clear"
    raw["journal"]["data"]["marks"][0]["last_at"] = "2026-01-30T11:00:00Z"
    assert start(raw, (r.vote(at="2026-01-30T11:30:00Z"),))["journal"] == state


def test_a_crash_loop_gets_no_restart_unless_its_own_signature_is_the_reason() -> None:
    assert start(state="crashed")["journal"] == "refused"
    excused = changed(put("journal", "marks", [r.mark("double_sign_check")]))
    assert start(excused, state="crashed")["journal"] == "clear"
    both = changed(put("journal", "marks", [r.mark("double_sign_check"), r.mark("database_damaged")]))
    assert start(both, state="crashed")["journal"] == "refused"


def looping(*marks: dict[str, t.Any]) -> dict[str, t.Any]:
    """A crash loop that is up in the second of the look: no stop, and no mark of the newest invocation."""
    raw = r.data(True)
    raw["unit"]["data"].update(started_at=r.STOPPED, stopped_at=None)
    raw["journal"]["data"]["marks"] = [r.mark("exited", current=False), *marks]
    return raw


def test_a_crash_loop_seen_in_its_second_up_is_judged_by_the_run_before() -> None:
    own = r.mark("double_sign_check", current=False)
    assert start(looping(own), state="crashed")["journal"] == "clear"
    assert start(looping(own, r.mark("io_error", current=False)), state="crashed")["journal"] == "refused"
    assert start(looping(), state="crashed")["journal"] == "refused"
    old = dict(r.mark("io_error", current=False), last_at="2026-01-30T11:50:00Z")
    assert start(looping(own, old), state="crashed")["journal"] == "clear"


def test_a_crash_loop_seen_in_its_second_up_stopped_before_it_started() -> None:
    assert start(looping(), (r.vote(at="2026-01-30T11:59:00Z"),), state="crashed")["votes"] == "clear"
    assert start(looping(), (r.vote(at="2026-01-30T12:03:00Z"),), state="crashed")["votes"] == "refused"


def test_boot_bounds_a_unit_without_any_time() -> None:
    raw = changed(lambda raw: raw["unit"]["data"].update(stopped_at=None, started_at=None))
    assert start(raw, (r.vote(at="2026-01-02T00:00:00Z"),))["votes"] == "refused"


@pytest.mark.parametrize("kind", ["absent", "malformed", "cannot_tell", "too_large"])
def test_a_lost_signing_state_refuses(kind: str) -> None:
    def change(raw: dict[str, t.Any]) -> None:
        raw["signer"]["data"].update(state=None, state_error={"kind": kind, "text": "no such file"})

    assert start(changed(change))["signing_state"] == "refused"


def test_a_signing_state_that_may_not_be_read_stays_open() -> None:
    def change(raw: dict[str, t.Any]) -> None:
        raw["signer"]["data"].update(state=None, state_error={"kind": "privilege", "text": "may not read"})

    assert start(changed(change))["signing_state"] == "open"


def test_declared_and_key_file_must_agree() -> None:
    assert start(declared=r.ADDRESS_S)["address"] == "clear"
    assert start(declared=r.ADDRESS_X)["address"] == "refused"
    unread = changed(part("signer", r.error("privilege")))
    assert start(unread, declared=r.ADDRESS_S)["address"] == "open"


def test_a_start_never_makes_a_new_key() -> None:
    gone = changed(lambda raw: raw["signer"]["data"].update(address=None, key_file=False))
    assert start(gone, declared=r.ADDRESS_S)["address"] == "refused"


def test_a_sentry_without_a_key_is_clear() -> None:
    keyless = changed(lambda raw: raw["signer"]["data"].update(address=None, key_file=False))
    assert set(start(keyless, in_set=False).values()) == {"clear"}


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("2026-01-30T11:59:59Z", "clear"),
        ("2026-01-30T12:00:02Z", "clear"),
        ("2026-01-30T12:00:03Z", "refused"),
        ("2026-01-30T12:09:00.5Z", "refused"),
        (None, "clear"),
    ],
)
def test_a_vote_after_the_stop_refuses(at: str | None, state: str) -> None:
    assert start(votes=(r.vote(at=at),))["votes"] == state


def test_the_latest_vote_counts_not_the_highest() -> None:
    votes = (r.vote(90, at="2026-01-30T12:05:00Z"), r.vote(100))
    assert start(votes=votes)["votes"] == "refused"


def test_boot_bounds_the_stop_of_a_unit_that_never_ran() -> None:
    raw = changed(lambda raw: raw["unit"]["data"].update(stopped_at=None, started_at=None))
    raw["clock"]["boot_at"] = "2026-01-30T12:01:00Z"
    assert start(raw, votes=(r.vote(at="2026-01-30T12:00:59Z"),))["votes"] == "clear"
    assert start(raw, votes=(r.vote(at="2026-01-30T12:02:00Z"),))["votes"] == "refused"
    raw["clock"]["boot_at"] = None
    assert start(raw)["votes"] == "open"


@pytest.mark.parametrize("lost", [{"votes_height": None}, {"commits_seen": False}])
def test_where_votes_are_not_seen_their_absence_tells_nothing(lost: dict[str, t.Any]) -> None:
    stopped = r.node("vs", r.data())
    found = r.states(guards.start_guards(r.case(r.reading([stopped, r.voter()], **lost), stopped)))
    assert (found["votes"], found["signing_state"]) == ("open", "open")


def test_a_vote_that_only_nodes_outside_show_is_known_to_the_guards() -> None:
    """We are cut off, and the key signs elsewhere."""
    stopped = r.node("vs", r.data())
    nodes = [stopped, r.voter()]
    heard = r.reading(nodes, heard={r.ADDRESS_S: (r.vote(r.HEIGHT + 1, 1, at="2026-01-30T12:09:00Z"),)})
    found = r.states(guards.start_guards(r.case(heard, stopped)))
    assert (found["votes"], found["signing_state"]) == ("refused", "refused")
    bit = Witness("peer 1", "peer", r.HEIGHT + 1, frozenset([r.ADDRESS_S]), frozenset())
    seen = r.reading(nodes, outside=(bit,))
    assert r.states(guards.start_guards(r.case(seen, stopped)))["votes"] == "open"


def test_a_clock_that_is_ahead_tells_no_order() -> None:
    stopped = r.node("vs", r.data())
    ahead = r.reading([stopped, r.voter()], ahead=frozenset(["vs"]))
    assert r.states(guards.start_guards(r.case(ahead, stopped)))["votes"] == "open"


def test_break_glass_overrides_one_question_and_not_a_name() -> None:
    stopped, unknown, other = r.node("vs", r.data()), r.node("v2", None), r.node("v3", None)
    one = guards.start_guards(r.case(r.reading([stopped, r.voter(), unknown]), stopped))
    (key,) = [guard.key for guard in blocking(one)]
    assert blocking(one, [key]) == []
    two = guards.start_guards(r.case(r.reading([stopped, r.voter(), unknown, other]), stopped))
    assert [guard.name for guard in blocking(two, [key])] == ["key_elsewhere"]


@given(
    state=st.tuples(st.integers(0, 101), st.integers(0, 5), st.integers(1, 3)),
    voted=st.tuples(st.integers(0, 101), st.integers(0, 5), st.sampled_from([2, 3])),
)
def test_a_signing_state_behind_any_own_vote_is_refused(
    state: tuple[int, int, int], voted: tuple[int, int, int]
) -> None:
    height, round_, step = state
    raw = changed(put("signer", "state", {"height": height, "round": round_, "step": step}))
    found = start(raw, votes=(r.vote(*voted, at=None), r.vote(1, 0, 2)))["signing_state"]
    assert found == ("refused" if state < max(voted, (1, 0, 2)) else "clear")


OTHERS = [
    ("holds it", r.voter("v2", key_address=r.ADDRESS_S), "refused"),
    ("declares it", r.node("v2", None, declared=r.ADDRESS_S), "refused"),
    ("runs it", r.voter("v2", rpc_address=r.ADDRESS_S, key_address=None), "refused"),
    ("stopped standby holds it", r.node("v2", r.data(), state="stopped"), "refused"),
    ("of another chain, holds it", r.node("v2", r.data(), chain_ok=False), "refused"),
    ("unreachable, undeclared", r.node("v2", None), "open"),
    (
        "answered in the look before",
        r.node("v2", None, key_address=r.ADDRESS_X, before=r.node("v2", r.data(address=r.ADDRESS_X)).data),
        "clear",
    ),
    ("unreachable, declares another", r.node("v2", None, declared=r.ADDRESS_X), "clear"),
    ("answers, key unread", r.node("v2", changed(part("signer", r.error("privilege"))), state="unknown"), "open"),
    (
        "answers, has no key",
        r.node("v2", changed(lambda raw: raw["signer"]["data"].update(address=None, key_file=False))),
        "clear",
    ),
    (
        "signs remotely, address unseen",
        r.node("v2", changed(put("signer", "remote", True)), key_address=r.ADDRESS_X),
        "open",
    ),
    ("holds another", r.node("v2", r.data(address=r.ADDRESS_X)), "clear"),
]


@pytest.mark.parametrize(("what", "other", "state"), OTHERS, ids=[case[0] for case in OTHERS])
def test_the_key_is_on_no_other_host(what: str, other: t.Any, state: str) -> None:
    assert start(others=[r.voter(), other])["key_elsewhere"] == state


def test_a_standby_with_the_key_of_a_voting_host_is_refused() -> None:
    standby = r.node("vs", r.data(address=r.ADDRESS_V))
    seen = r.reading([standby, r.voter()], votes={r.ADDRESS_V: (r.vote(at=r.NOW),)})
    found = r.states(guards.start_guards(r.case(seen, standby)))
    assert found["key_elsewhere"] == found["votes"] == "refused"


def with_genesis(host: str, sha: str, **changes: t.Any) -> t.Any:
    raw = r.data(True, r.ADDRESS_V)
    raw["genesis"]["data"]["sha256"] = sha
    return r.node(host, raw, **changes)


@pytest.mark.parametrize(
    ("state", "shas", "expected"),
    [
        ("voting", [], "open"),
        ("voting", ["e" * 64, "0" * 64], "open"),
        ("voting", ["0" * 64], "refused"),
        ("not_voting", ["e" * 64, "e" * 64, "0" * 64], "clear"),
        ("not_voting", ["e" * 64, "0" * 64], "open"),
        ("running", ["e" * 64], "clear"),
        ("stopped", ["e" * 64], "open"),
    ],
)
def test_whom_the_genesis_is_compared_with(state: str, shas: list[str], expected: str) -> None:
    others = [with_genesis(f"x{index}", sha, state=state) for index, sha in enumerate(shas)]
    assert start(others=others)["chain"] == expected


def test_a_host_set_aside_for_its_chain_is_refused() -> None:
    assert start(chain_ok=False)["chain"] == "refused"


def test_relaxing_clears_the_check_but_not_a_flag() -> None:
    for source, state in (("config.toml", "clear"), ("env", "clear"), ("flag", "refused")):
        stopped = r.node("vs", changed(setting("double_sign_check_height", 10, source)))
        found = r.states(guards.start_guards(r.case(r.reading([stopped, r.voter()]), stopped), {"double_sign_check"}))
        assert found["double_sign_check"] == state


def test_break_glass_never_passes_what_is_refused() -> None:
    stopped = r.node("vs", changed(put("unit", "unit_file_state", "masked")))
    unknown = r.node("v2", None)
    found = guards.start_guards(r.case(r.reading([stopped, r.voter(), unknown]), stopped))
    assert [guard.name for guard in blocking(found)] == ["unit", "key_elsewhere"]
    assert [guard.name for guard in blocking(found, ["key_elsewhere:v2"])] == ["unit"]
    assert [guard.name for guard in blocking(found, ["disk"])] == ["unit", "key_elsewhere"]


PARTS = ("unit", "process", "binary", "config", "genesis", "signer", "disk", "journal")
RUBBISH = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(rubbish=RUBBISH, key=st.sampled_from(PARTS), wrapped=st.booleans())
def test_no_shape_of_evidence_makes_a_guard_raise_or_a_start_clear(rubbish: t.Any, key: str, wrapped: bool) -> None:
    raw = changed(part(key, r.ok(rubbish) if wrapped else rubbish))
    assert set(start(raw).values()) & {"open", "refused"}
