# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signer, processes, places, large files, and parts that hang."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
from ansible_collections.virtengine.incident.plugins.module_utils._host import lock as _host_lock
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts as _host
from ansible_collections.virtengine.incident.plugins.module_utils._host import process as _process
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._node import collect, files
from ansible_collections.virtengine.incident.plugins.module_utils._node import config as _config
from ansible_collections.virtengine.incident.plugins.module_utils._node import places as _node_places
from ansible_collections.virtengine.incident.plugins.module_utils._node import signer as _signer

ADDRESS = "C0DADE039CEF22CE28E3A01118A15FC9EF16576C"
PRIVATE = "c2VjcmV0IGtleSBtYXRlcmlhbA=="


def home(
    path: Path, state: str | None = '{"height":"10","round":0,"step":3,"signature":"U0lH","signbytes":"00"}'
) -> Path:
    (path / "config").mkdir(parents=True)
    (path / "data").mkdir()
    key = {"address": ADDRESS, "pub_key": {"value": "x"}, "priv_key": {"value": PRIVATE}}
    (path / "config/priv_validator_key.json").write_text(json.dumps(key, indent=2))
    (path / "config/genesis.json").write_text('{"app_state": {"chain_id": "no"}, "chain_id": "chain-1"}')
    if state is not None:
        (path / "data/priv_validator_state.json").write_text(state)
    return path


def signer(path: Path) -> dict[str, Any]:
    return _signer.read(str(path), "config/priv_validator_key.json", "data/priv_validator_state.json", "")


def test_only_address_and_height_leave_the_signer(tmp_path: Path) -> None:
    facts = signer(home(tmp_path / "h"))
    assert facts == {
        "address": ADDRESS,
        "key_file": True,
        "remote": False,
        "state": {"height": 10, "round": 0, "step": 3},
        "state_error": None,
    }


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (None, "absent"),
        ("", "malformed"),
        ("[]", "malformed"),
        ('{"height":"-1","round":0,"step":3}', "malformed"),
        ('{"height":"9223372036854775808","round":0,"step":3}', "malformed"),
        ('{"height":"1","round":0,"step":4}', "malformed"),
        ('{"height":"1","round":0}', "malformed"),
        ('{"height":"1","height":"2","round":0,"step":3}', "malformed"),
        ('{"height":true,"round":0,"step":3}', "malformed"),
        ("[" * 20000, "malformed"),
        ('{"x":"' + "y" * 70000 + '"}', "too_large"),
    ],
)
def test_a_signing_state_that_is_not_one(tmp_path: Path, state: str | None, kind: str) -> None:
    facts = signer(home(tmp_path / "h", state))
    assert facts["state"] is None and facts["state_error"]["kind"] == kind


def test_a_key_file_without_one_clear_address(tmp_path: Path) -> None:
    place = home(tmp_path / "h")
    (place / "config/priv_validator_key.json").write_text('{"address":"AB"}')
    assert signer(place)["address"] is None
    (place / "config/priv_validator_key.json").unlink()
    assert signer(place)["key_file"] is False


def fake_proc(root: Path, pid: int, argv: str, cgroup: str, state: str = "S") -> None:
    place = root / str(pid)
    place.mkdir(parents=True)
    (place / "cmdline").write_bytes(b"\0".join(argv.encode().split(b" ")) + b"\0")
    (place / "stat").write_text(f"{pid} (a) b) {state} " + " ".join(str(number) for number in range(4, 53)))
    (place / "cgroup").write_text(f"9:name=systemd:{cgroup}\n6:freezer:/hold{pid}\n0::{cgroup}\n")
    (place / "environ").write_bytes(b"VE_HOME=/x\0TOKEN=secret\0")
    if argv:
        (place / "exe").symlink_to(argv.split(" ", maxsplit=1)[0] + " (deleted)")


def scan(root: Path, main_pid: int | None, group: str | None = "/system.slice/virtengine.service") -> _process.Found:
    unit = _process.UnitOf("virtengine.service", main_pid, group)
    return _process.scan(unit, [], _process.Roots(str(root / "proc"), str(root / "cg")))


def test_the_unit_its_launcher_and_the_ones_outside(tmp_path: Path) -> None:
    proc, inside = tmp_path / "proc", "/system.slice/virtengine.service"
    fake_proc(proc, 1, "/sbin/init", "/init.scope")
    fake_proc(proc, 10, "/usr/bin/cosmovisor run start", inside)
    fake_proc(proc, 11, "/x/virtengine --home /x start", inside, "T")
    fake_proc(proc, 12, "/x/virtengine query start", "/user.slice")
    fake_proc(proc, 13, "virtengined start", "/docker/1")
    fake_proc(proc, 14, "/bin/grep virtengine start", "/user.slice")
    (tmp_path / "cg/freezer/hold13").mkdir(parents=True)
    (tmp_path / "cg/freezer/hold13/freezer.state").write_text("FROZEN\n")
    found = scan(tmp_path, 10)
    assert found.main and (found.main.facts["pid"], found.main.facts["state"]) == (11, "T")
    assert found.main.facts["exe"] == "/x/virtengine" and found.main.facts["exe_deleted"] is True
    assert [(seen.facts["pid"], seen.facts["frozen"]) for seen in found.others] == [(13, True)]


def test_a_unit_that_was_restarted_meanwhile_or_that_systemd_did_not_answer_for(tmp_path: Path) -> None:
    fake_proc(tmp_path / "proc", 1, "/sbin/init", "/init.scope")
    fake_proc(tmp_path / "proc", 21, "/usr/bin/virtengine start", "/system.slice/virtengine.service")
    for main_pid, group in ((20, "/system.slice/virtengine.service"), (None, None)):
        found = scan(tmp_path, main_pid, group)
        assert found.main and found.main.facts["pid"] == 21 and found.others == []


def test_hidden_processes_are_privilege(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    with pytest.raises(_host.PartError) as caught:
        scan(tmp_path, None)
    assert caught.value.kind == "privilege"


def unit_of(line: str, variables: dict[str, str] | None = None) -> systemd.Unit:
    return systemd.Unit({"main_pid": None, "control_group": None}, line.split(), variables or {}, [], "root", "")


@pytest.mark.parametrize(
    ("line", "variables", "home_is", "source"),
    [
        ("/usr/bin/virtengine start --home /srv/a", {"VE_HOME": "/srv/b"}, "/srv/a", "unit_flag"),
        ("/usr/bin/virtengine start", {"VE_HOME": "/srv/b"}, "/srv/b", "unit_env"),
        ("/usr/bin/virtengine start --home ${VE_HOME}/x", {"VE_HOME": "/srv/b"}, "/srv/b/x", "unit_flag"),
        ("/usr/bin/virtengine start --home ${OTHER}", {}, None, None),
        ("/usr/bin/virtengine start", {"HOME": "/srv"}, "/srv/.virtengine", "default"),
        ("/usr/local/bin/run-node.sh", {}, None, None),
        ("/bin/sh -c virtengine start", {}, None, None),
    ],
)
def test_the_home_of_a_unit(line: str, variables: dict[str, str], home_is: str | None, source: str | None) -> None:
    places = _node_places.find(unit_of(line, variables), None, None, None, None)
    assert (places["home"], places["home_source"]) == (home_is, source)


def test_a_process_speaks_for_a_script_and_where_there_is_no_unit() -> None:
    process = {"flags": {"home": "/srv/p"}, "variables": {}, "of_unit": True, "exe": "/x/virtengine"}
    places = _node_places.find(unit_of("/usr/local/bin/run-node.sh"), process, None, None, None)
    assert (places["home"], places["home_source"]) == ("/srv/p", "unit_flag")
    places = _node_places.find(None, process, None, None, None)
    assert (places["home"], places["home_source"], places["binary"]) == ("/srv/p", "process", "/x/virtengine")


def test_cosmovisor_names_the_program() -> None:
    unit = unit_of("/usr/bin/cosmovisor run start --home /srv", {"DAEMON_HOME": "/srv", "DAEMON_NAME": "virtengine"})
    places = _node_places.find(unit, None, None, None, None)
    assert (places["binary"], places["cosmovisor"]) == ("/srv/cosmovisor/current/bin/virtengine", True)
    assert places["home"] == "/srv"


@pytest.mark.parametrize(
    ("laddr", "url"),
    [
        ("tcp://127.0.0.1:26657", "http://127.0.0.1:26657"),
        ("tcp://0.0.0.0:26657", "http://127.0.0.1:26657"),
        ("tcp://[::]:26657", "http://[::1]:26657"),
        ("tcp://:26657", "http://127.0.0.1:26657"),
        ("unix:///run/node.sock", None),
        ("tcp://127.0.0.1:0", None),
        ("tcp://127.0.0.1:99999", None),
        ("http://a@b:1", None),
        ("", None),
    ],
)
def test_where_to_ask_the_rpc(laddr: str, url: str | None) -> None:
    assert _node_places.rpc_address(laddr) == url


def test_genesis_takes_names_of_the_outermost_object_only(tmp_path: Path) -> None:
    inner = {"chain_id": "inner", "text": 'a "quoted{" \\', "n": [1, {"chain_id": "x"}]}
    text = json.dumps({"app_state": inner, "z": "chain_id", "chain_id": "outer-1", "genesis_time": "t"})
    path = tmp_path / "genesis.json"
    path.write_text(text)
    expected = {"chain_id": "outer-1", "sha256": hashlib.sha256(text.encode()).hexdigest(), "genesis_time": "t"}
    assert files.genesis(str(path), time.monotonic() + 9) == expected
    for size in range(1, 40):
        search = files.TopLevel()
        for begin in range(0, len(text), size):
            search.feed(text[begin : begin + size].encode())
        assert search.texts == {"chain_id": "outer-1", "genesis_time": "t"}


@pytest.mark.parametrize("text", ["", "{", '{"a":{"chain_id":"x"}}', '["chain_id","x"]', '"chain_id":"x"', "\x00"])
def test_a_genesis_without_a_chain_id(tmp_path: Path, text: str) -> None:
    (tmp_path / "g").write_text(text)
    with pytest.raises(_host.PartError) as caught:
        files.genesis(str(tmp_path / "g"), time.monotonic() + 9)
    assert caught.value.kind == "malformed"


def test_parts_fail_alone_and_in_time() -> None:
    def refuse() -> None:
        raise PermissionError(13, "denied")

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    work = {
        "good": lambda: {"a": 1},
        "refused": refuse,
        "stopped": stop,
        "slow": lambda: time.sleep(60),
        "dead": die,
        "large": lambda: "x" * (_host.PART_CAP + 1),
        "strange": object,
        "started": lambda: subprocess.run(["sleep", "61"], check=False).returncode,
    }
    begun = time.monotonic()
    parts = _host.gather(work, begun + 1.5)
    assert time.monotonic() - begun < 4
    assert parts.pop("good") == {"ok": True, "data": {"a": 1}}
    assert {name: part["error"]["kind"] for name, part in parts.items()} == {
        "refused": "privilege",
        "stopped": "late",
        "slow": "late",
        "dead": "failed",
        "large": "too_large",
        "strange": "failed",
        "started": "late",
    }


def test_evidence_of_a_host_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rpc = {name: {"ok": False, "error": {"kind": "refused", "text": "no"}} for name in _cometbft.PARTS}
    monkeypatch.setattr(_cometbft, "gather", lambda url, deadline: rpc)
    monkeypatch.setattr(_old_logs, "VAR_LOG", str(tmp_path / "log"))
    folders = (str(tmp_path / "locks"), str(tmp_path / "used"))
    monkeypatch.setattr(_host_lock, "seen", functools.partial(_host_lock.seen, *folders))
    _host_lock.Lock("chain:chain-1", *folders).acquire("run-1", "alice@laptop", "")
    place = home(tmp_path / "h")
    program = tmp_path / "virtengine"
    program.write_bytes(b"program")
    options = collect.Options("no-such-unit.service", str(place), "http://127.0.0.1:9", str(program), 60, 8.0)
    evidence = collect.collect(options)
    text = json.dumps(evidence)
    assert PRIVATE not in text and "U0lH" not in text
    assert evidence["schema"] == 1 and not evidence["unit"]["ok"]
    assert evidence["paths"]["home_source"] == evidence["paths"]["rpc_source"] == "option"
    assert evidence["genesis"]["data"]["chain_id"] == "chain-1"
    assert evidence["signer"]["data"]["address"] == ADDRESS
    assert evidence["binary"]["data"]["sha256"] == hashlib.sha256(b"program").hexdigest()
    assert evidence["disk"]["data"]["path"] == str(place / "data")
    assert set(evidence["config"]["data"]) == set(_config.KEYS)
    assert evidence["upgrade"]["data"]["plan"] is None
    assert evidence["wal"]["data"]["path"] == str(place / "data/cs.wal") and not evidence["wal"]["data"]["present"]
    none = {"files": 0, "bytes": 0, "compressible_bytes": 0}
    assert evidence["old_logs"] == {"ok": True, "data": none}
    assert evidence["p2p"]["data"] == {"laddr": "tcp://0.0.0.0:26656", "expected": []}
    held = [(entry["scope"], entry["owner"]) for entry in evidence["responder_locks"]["data"]["locks"]]
    assert held == [("chain:chain-1", "run-1")] and evidence["responder_locks"]["data"]["used"] == []


def test_the_deadline_holds_when_systemd_and_the_rpc_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "systemctl"
    slow.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    slow.chmod(0o755)
    monkeypatch.setattr(_host, "environment", lambda: {"PATH": str(tmp_path)})
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(_cometbft, "gather", lambda url, deadline: time.sleep(60))
    begun = time.monotonic()
    options = collect.Options("virtengine.service", str(home(tmp_path / "h")), "http://127.0.0.1:9", None, 60, 4.0)
    evidence = collect.collect(options)
    assert time.monotonic() - begun < 4.5
    assert evidence["unit"]["error"]["kind"] == "late"
    assert evidence["rpc"]["status"]["error"]["kind"] == evidence["p2p"]["error"]["kind"] == "late"
    assert evidence["genesis"]["ok"] and evidence["wal"]["ok"] and evidence["upgrade"]["ok"]


@pytest.mark.parametrize(
    ("main", "freezer", "asked"),
    [
        ({"pid": 7, "state": "S", "frozen": False}, "running", True),
        ({"pid": 7, "state": "T", "frozen": False}, "running", False),
        ({"pid": 7, "state": "S", "frozen": True}, None, False),
        ({"pid": 7, "state": "S", "frozen": None}, "frozen", False),
        (None, "frozen", True),
    ],
)
def test_a_frozen_process_is_not_asked_and_every_other_one_for_six_seconds(
    monkeypatch: pytest.MonkeyPatch, main: dict[str, Any] | None, freezer: str | None, asked: bool
) -> None:
    seen: list[float] = []
    monkeypatch.setattr(_cometbft, "gather", lambda url, deadline: seen.append(deadline))
    unit = systemd.Unit({"freezer_state": freezer}, [], {}, [], "root", "/")
    halted_by = collect._halted_by(unit, {"ok": True, "data": {"main": main}})
    parts = collect._rpc({"rpc": "http://127.0.0.1:1"}, halted_by, time.monotonic() + 20)
    assert seen == ([collect.RPC_S] if asked else [])
    assert asked or {parts[name]["error"]["kind"] for name in _cometbft.PARTS} == {"cannot_tell"}


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "a\nb", "\u202eabc", "x" * 9999, "\x1b]0;title\x07t"])
def test_text_is_one_clean_line(text: str) -> None:
    cleaned = _host.clean(text)
    assert len(cleaned) <= 300 and cleaned.isprintable()
