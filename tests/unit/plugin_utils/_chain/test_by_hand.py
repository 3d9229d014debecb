# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands by hand are for the hosts that they are about, and nothing that a host says can become a command."""

from __future__ import annotations

import shlex
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import by_hand
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import node as _evidence
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.order import CAUSES
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import layout as _screen_text
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, assess
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import four

COMMANDS = tuple(text for cause in CAUSES for text in cause.by_hand)
ELSEWHERE = {
    "home": "/srv/ve-1/.node",
    "unit": "ve@1.service",
    "rpc": "http://127.0.0.1:36657",
    "binary": "/opt/ve/bin/ved",
}
DEFAULTS = (by_hand.HOME, by_hand.UNIT, by_hand.RPC, by_hand.BINARY, by_hand.PROCESS)


def evidence(
    home: t.Any = None, unit: t.Any = None, rpc: t.Any = None, binary: t.Any = None, source: t.Any = "unit_flag"
) -> _evidence.NodeEvidence:
    data = {
        "paths": {"home": home, "home_source": source, "rpc": rpc},
        "unit": {"ok": True, "data": {"name": unit}},
        "binary": {"ok": True, "data": {"path": binary}},
    }
    return _evidence.evidence_of({"look": 1, "at": "2026-01-30T12:00:00Z", "data": data})


def placed(text: str, *hosts: _evidence.NodeEvidence | None) -> str:
    (made,) = by_hand.placed([text], hosts)
    return made


@pytest.mark.parametrize(
    ("shown", "text", "made"),
    [
        ({"home": "/srv/node"}, "ls ~virtengine/.virtengine/data", "ls /srv/node/data"),
        ({"home": "/srv/node/"}, "ls ~virtengine/.virtengine/data", "ls /srv/node/data"),
        ({"home": "/root/.virtengine", "source": "default"}, by_hand.HOME, "/root/.virtengine"),
        ({"home": "/data/virtengine/.virtengine", "source": "default"}, by_hand.HOME, by_hand.HOME),
        ({"home": "/data/virtengine/.virtengine"}, by_hand.HOME, "/data/virtengine/.virtengine"),
        ({"home": "/var/lib/virtengine/.virtengine"}, by_hand.HOME, by_hand.HOME),
        ({"home": "/home/virtengine/.virtengine"}, by_hand.HOME, by_hand.HOME),
        ({"home": "/var/lib/virtengine"}, by_hand.HOME, "/var/lib/virtengine"),
        ({"unit": "ve@1.service"}, "journalctl -u virtengine.service -n 5", "journalctl -u ve@1.service -n 5"),
        (
            {"rpc": "http://127.0.0.1:36657"},
            "curl -s http://127.0.0.1:26657/status",
            "curl -s http://127.0.0.1:36657/status",
        ),
        ({"rpc": "http://10.0.0.7:26657"}, by_hand.RPC, "http://10.0.0.7:26657"),
        ({"rpc": "http://localhost:1"}, by_hand.RPC, "http://localhost:1"),
        ({"rpc": "http://[::1]:26657"}, by_hand.RPC, "http://[::1]:26657"),
        ({"binary": "/opt/ved"}, "sha256sum /usr/bin/virtengine", "sha256sum /opt/ved"),
        ({"binary": "/opt/ved"}, "ps -o pid -C virtengine   # T", "ps -o pid -C ved   # T"),
        ({"binary": "/opt/a-long-name-of-a-node"}, by_hand.PROCESS, "-C a-long-name-of-"),
        # What was put in is not looked through again.
        ({"home": "/srv/virtengine.service", "unit": "a.service"}, by_hand.HOME, "/srv/virtengine.service"),
    ],
)
def test_what_a_host_shows_is_put_in(shown: dict[str, t.Any], text: str, made: str) -> None:
    assert placed(text, evidence(**shown)) == made
    assert placed(text, evidence(**shown), evidence(**shown)) == made


def test_hosts_that_differ_or_that_are_not_seen_leave_the_usual_places() -> None:
    one, other = evidence(**ELSEWHERE), evidence(**{**ELSEWHERE, "home": "/srv/ve-2/.node"})
    for text in COMMANDS:
        for hosts in ((), (None,), (one, None), (None, one), (one, evidence()), (evidence(),)):
            assert placed(text, *hosts) == text
    # Each value is agreed on by itself.
    assert placed(f"{by_hand.HOME} {by_hand.UNIT}", one, other) == f"{by_hand.HOME} ve@1.service"


def test_nothing_usual_is_left_where_all_is_known() -> None:
    one = evidence(**ELSEWHERE)
    for text in COMMANDS:
        made = placed(text, one, one)
        assert not [default for default in DEFAULTS if default in made], made
        assert (made == text) is not any(default in text for default in DEFAULTS)


def test_a_command_with_other_places_is_still_shown() -> None:
    one = evidence(**ELSEWHERE)
    for text in COMMANDS:
        lines = _screen_text.typed(_screen_text.tidy(placed(text, one)), 4)
        assert lines is not None and all(len(line) <= 100 for line in lines), text


EVIL = (
    "; rm -rf /",
    "$(reboot)",
    "`reboot`",
    " | sh",
    " && sh",
    "\n reboot",
    "\n",
    "\r",
    "'",
    '"',
    "\\x2d",
    "/../../etc",
    "/..",
    "/*",
    "?x",
    "{a,b}",
    "~",
    "#",
    "!!",
    "%n",
    ">x",
    "\x00",
    "\x1b[2J",
    "\u202e",
    "\u0430",
    " ",
    "\t",
    "=",
)


@pytest.mark.parametrize("word", EVIL)
@pytest.mark.parametrize("name", ["home", "unit", "rpc", "binary"])
def test_what_means_something_to_a_shell_is_not_put_in(name: str, word: str) -> None:
    value = ELSEWHERE[name]
    for hostile in (value + word, word + value, value.replace("ve", f"ve{word}", 1).replace("127", f"127{word}", 1)):
        shown = evidence(**{name: hostile})
        for text in COMMANDS:
            assert placed(text, shown) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("home", ""),
        ("home", "/"),
        ("home", "srv/node"),
        ("home", "//srv"),
        ("home", "/srv//node"),
        ("home", "/srv/./node"),
        ("home", "-rf"),
        ("home", "/" + "a" * 200),
        ("home", 7),
        ("home", True),
        ("home", ["/srv"]),
        ("home", {"/srv": 1}),
        ("unit", "-H.service"),
        ("unit", "--version.service"),
        ("unit", ".service"),
        ("unit", "ssh.socket"),
        ("unit", "ve.service.sh"),
        ("unit", "a" * 200 + ".service"),
        ("unit", "../ve.service"),
        ("rpc", "https://127.0.0.1:26657"),
        ("rpc", "http://evil.example:26657"),
        ("rpc", "http://127.0.0.1"),
        ("rpc", "http://127.0.0.1:0"),
        ("rpc", "http://127.0.0.1:65536"),
        ("rpc", "http://127.0.0.1:99999"),
        ("rpc", "http://127.0.0.256:1"),
        ("rpc", "http://127.1:1"),
        ("rpc", "http://u:p@127.0.0.1:1"),
        ("rpc", "http://127.0.0.1:1/x"),
        ("rpc", "http://[::1%eth0]:1"),
        ("rpc", "http://\u0661\u0662\u0667.0.0.1:1"),
        ("rpc", "file:///etc/shadow"),
        ("binary", "virtengine"),
        ("binary", "/opt/../bin/sh"),
    ],
)
def test_what_is_no_such_place_is_not_put_in(name: str, value: t.Any) -> None:
    shown = evidence(**{name: value})
    assert [placed(text, shown) for text in COMMANDS] == list(COMMANDS)


ANY = st.one_of(st.none(), st.integers(), st.text(), st.from_regex(r"(/|http://)?[\x20-\x7e]{0,40}(\.service)?"))


@given(home=ANY, unit=ANY, rpc=ANY, binary=ANY)
def test_whatever_a_host_says_no_command_gets_another_word(home: t.Any, unit: t.Any, rpc: t.Any, binary: t.Any) -> None:
    shown = evidence(home, unit, rpc, binary)
    for text in COMMANDS:
        made = placed(text, shown)
        plain, said = shlex.split(text, comments=True), shlex.split(made, comments=True)
        assert len(plain) == len(said)
        assert all(word == other or not any(sign in other for sign in "`!~\\\n") for word, other in zip(plain, said))


def moved(data: Data, _look: int) -> None:
    data["paths"].update(home="/srv/node", home_source="unit_flag", rpc="http://127.0.0.1:36657")
    data["unit"]["data"]["name"] = "node.service"


def test_the_verdict_names_the_places_of_the_hosts_that_a_cause_is_about() -> None:
    fleet = four(["stopped"])
    fleet.hosts[0].patch = moved
    by_cause = {cause["id"]: " ".join(cause["by_hand"]) for cause in assess(fleet)["causes"]}
    assert "node.service" in by_cause["processes_down"] and by_hand.UNIT not in by_cause["processes_down"]
    assert by_hand.UNIT in " ".join(assess(four(["stopped"]))["causes"][0]["by_hand"])


def test_a_cause_that_names_no_host_is_looked_for_on_all() -> None:
    fleet = four([])
    fleet.moving = True
    for host in fleet.hosts:
        host.patch = moved
    (running,) = [cause for cause in assess(fleet)["causes"] if cause["id"] == "not_halted"]
    assert running["hosts"] == [] and "http://127.0.0.1:36657/status" in " ".join(running["by_hand"])
    fleet.hosts[0].patch = None
    (running,) = [cause for cause in assess(fleet)["causes"] if cause["id"] == "not_halted"]
    assert "http://127.0.0.1:36657" not in " ".join(running["by_hand"])
