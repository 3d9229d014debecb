# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The read-only commands of the CLI, played by a small program that lies as the real one does."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._node import cli

NODE = "tcp://127.0.0.1:26657"
QUERY = ("query", "staking", "validators")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], str]:
    """Make a program of a shell script; what it makes in temporary directories is seen in ``tmp_path``."""
    monkeypatch.setattr(cli.tempfile, "tempdir", str(tmp_path))

    def make(script: str) -> str:
        program = tmp_path / "virtengine"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(program)

    return make


def ask(program: str, words: t.Sequence[str] = QUERY, home: str | None = None, timeout: float = 10) -> t.Any:
    cli.check(list(words), home)
    return cli.ask(program, list(words), NODE, home, timeout)


def refused(program: str, **more: t.Any) -> PartError:
    with pytest.raises(PartError) as error:
        ask(program, **more)
    return error.value


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["tx", "bank", "send"],
        ["start"],
        ["rollback"],
        ["comet", "unsafe-reset-all"],
        ["comet"],
        ["comet", "reset-state"],
        ["keys", "export", "x"],
        ["query"],
        ["query", "--help"],
        ["status", "more"],
        ["version", "--long"],
        [*QUERY, "--home", "/root"],
        [*QUERY, "--home=/root"],
        [*QUERY, "--node=tcp://x:1"],
        [*QUERY, "--output=text"],
        [*QUERY, "-o", "text"],
        [*QUERY, "-otext"],
        [*QUERY, "-hn", "x"],
        [*QUERY, "--"],
        [*QUERY, "--log_level", "trace"],
        [*QUERY, "--keyring-dir=/root"],
        [*QUERY, "--grpc-addr=x"],
        [*QUERY, "--trace"],
        [*QUERY, "a\nb"],
        [*QUERY, "\x1b[2J"],
        [*QUERY, ""],
    ],
)
def test_what_is_not_on_the_list_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        cli.check(words, None)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    "words", [[*QUERY], [*QUERY, "--limit", "5", "--height=7"], ["status"], ["version"], ["comet", "version"]]
)
def test_what_is_on_the_list_is_taken(words: list[str]) -> None:
    cli.check(words, None)


def test_a_home_is_given_where_it_is_read_and_nowhere_else() -> None:
    cli.check(["comet", "show-node-id"], "/srv/node")
    for words, home in ((["comet", "show-node-id"], None), ([*QUERY], "/srv/node")):
        with pytest.raises(ValueError, match="home"):
            cli.check(words, home)


@pytest.mark.parametrize("node", ["", "x", "unix:///x", "tcp://a b:1", "tcp://x:1 --home /", "http://u:p@h:1"])
def test_an_address_of_a_node_that_is_none(node: str) -> None:
    with pytest.raises(ValueError, match="node"):
        cli.node_flag(node)


def test_the_program_gets_a_home_of_its_own_that_is_removed(
    play: t.Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VE_HOME", "/elsewhere")
    monkeypatch.setenv("SECRET", "s")
    script = """
    echo "$*" > "$(dirname "$0")/argv"; env > "$(dirname "$0")/env"
    while [ "$1" != --home ]; do shift; done
    mkdir -p "$2/config" && echo litter > "$2/config/app.toml"
    echo '{}'"""
    assert ask(play(script), [*QUERY, "--limit", "$(id)"]) == {}
    argv = (tmp_path / "argv").read_text()
    assert argv.startswith("query staking validators --limit $(id) --home ")
    assert argv.rstrip().endswith(f"--node {NODE} --output json")
    assert str(tmp_path) in argv
    env = (tmp_path / "env").read_text()
    assert "VE_HOME" not in env and "SECRET" not in env
    assert sorted(os.listdir(tmp_path)) == ["argv", "env", "virtengine"]


def test_only_named_fields_become_integers(play: t.Callable[[str], str]) -> None:
    answer = (
        '{"height":"12","moniker":"12","tokens":"40000000","total":"1","start_height":"-1","voting_power":"+1",'
        '"info":[{"missed_blocks_counter":"7","dseq":"99999999999999999999"}],"block_height":"1 "}'
    )
    assert ask(play(f"echo '{answer}'")) == {
        "height": 12,
        "moniker": "12",
        "tokens": "40000000",
        "total": "1",
        "start_height": -1,
        "voting_power": "+1",
        "info": [{"missed_blocks_counter": 7, "dseq": "99999999999999999999"}],
        "block_height": "1 ",
    }


def test_lines_of_log_before_the_answer_are_passed_over(play: t.Callable[[str], str]) -> None:
    script = r"""printf '\033[90m10:00AM\033[0m \033[32mINF\033[0m starting {"a":1}\n[not json\n{\n "a": 2\n}\n'"""
    assert ask(play(script)) == {"a": 2}


def test_an_empty_list_of_proposals_is_empty(play: t.Callable[[str], str]) -> None:
    assert ask(play("echo 'Error: no proposals found' >&2; exit 1"), ["query", "gov", "proposals"]) == {}


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("printf 'Query the chain\\n\\nUsage:\\n  virtengine query [flags]\\n'", "unknown_command"),
        ("echo 'Error: unknown flag: --node' >&2; exit 1", "unknown_command"),
        ("echo \"Error: unknown shorthand flag: 'o' in -o\" >&2; exit 1", "unknown_command"),
        ("echo 'Error: unknown flag: --status' >&2; exit 1", "failed"),
        ("echo 'Error: post failed: dial tcp 127.0.0.1:1: connect: connection refused' >&2; exit 1", "refused"),
        ("echo 'Error: post failed: dial tcp: lookup x: no such host' >&2; exit 1", "unreachable"),
        ("echo 'Error: rpc error: code = Unknown desc = method Jobs not implemented' >&2; exit 1", "rpc"),
        ("echo 'panic: failed to read genesis' >&2; exit 2", "failed"),
        ("exit 3", "failed"),
        ("kill -9 $$", "failed"),
        ("printf 'validators:\\n- jailed: false\\n'", "malformed"),
        ("echo '{\"a\":'", "malformed"),
        ("true", "malformed"),
        ("yes '{}'", "too_large"),
    ],
)
def test_each_lie_becomes_one_clear_error(play: t.Callable[[str], str], script: str, kind: str) -> None:
    error = refused(play(script))
    assert error.kind == kind
    assert "\n" not in error.text


def test_a_program_that_hangs_is_ended_with_its_children(play: t.Callable[[str], str], tmp_path: Path) -> None:
    began = time.monotonic()
    error = refused(play('sleep 60 & echo $! > "$(dirname "$0")/child"; sleep 60'), timeout=0.5)
    assert error.kind == "late"
    assert time.monotonic() - began < 3
    child = int((tmp_path / "child").read_text())
    for _attempt in range(50):
        # A killed child stays a zombie where nobody takes it in.
        stat = Path(f"/proc/{child}/stat")
        if not stat.exists() or stat.read_text().rsplit(") ", 1)[1][0] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the child lives")


def test_a_child_that_holds_the_output_open_is_late(play: t.Callable[[str], str]) -> None:
    assert refused(play("sleep 60 & echo '{}'"), timeout=0.5).kind == "late"


def test_noise_on_the_error_stream_is_bounded(play: t.Callable[[str], str]) -> None:
    error = refused(play("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'Error: the end' >&2; exit 1"))
    assert error.text == "Error: the end"


def test_escapes_of_a_terminal_do_not_come_through(play: t.Callable[[str], str]) -> None:
    error = refused(play("printf 'Error: \\033[2Jbad\\007 {{ 7*7 }}\\n' >&2; exit 1"))
    assert error.text == "Error: bad  {{ 7*7 }}"


def test_a_program_that_is_not_there() -> None:
    assert refused("no-such-virtengine").kind == "absent"
    assert refused("/no/such/virtengine").kind == "absent"


def test_what_a_home_tells(play: t.Callable[[str], str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    program = play("echo a477db25cb1e0d2bb5e0ee6ae1290bca415eb514")
    assert refused(program, words=["comet", "show-node-id"], home=str(home)).kind == "absent"
    assert not home.exists()
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text("")
    assert ask(program, ["comet", "show-node-id"], str(home)) == "a477db25cb1e0d2bb5e0ee6ae1290bca415eb514"
    assert refused(play("echo two words"), words=["comet", "show-node-id"], home=str(home)).kind == "malformed"


def test_versions_in_lines(play: t.Callable[[str], str]) -> None:
    script = "printf 'ABCI: 2.0.0\\nBlockProtocol: 11\\nCometBFT: 0.38.19\\n\\n'"
    found = ask(play(script), ["comet", "version"])
    assert found == {"ABCI": "2.0.0", "BlockProtocol": "11", "CometBFT": "0.38.19"}
