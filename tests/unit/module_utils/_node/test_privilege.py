# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence for a user without rights: what it may not see has the kind ``privilege``, and what it may see is there."""

from __future__ import annotations

import codecs
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
from ansible_collections.virtengine.incident.plugins.module_utils._host import journal as _journal
from ansible_collections.virtengine.incident.plugins.module_utils._host import lock as _host_lock
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts as _host
from ansible_collections.virtengine.incident.plugins.module_utils._host import process as _process
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd as _systemd
from ansible_collections.virtengine.incident.plugins.module_utils._node import collect, files, places
from ansible_collections.virtengine.incident.plugins.module_utils._node import config as _config
from ansible_collections.virtengine.incident.plugins.module_utils._node import signer as _signer

from tests.unit.module_utils._node.test_node import ADDRESS, fake_proc, home, unit_of

UNIT = "virtengine.service"
NOBODY = 65534
USUAL = "http://127.0.0.1:26657"
SCAN = _process.scan


def as_nobody(work: Any) -> Any:
    """What ``work`` gives in a process without rights. A user without rights runs it as it is."""

    def run() -> Any:
        if os.geteuid() == 0:
            # Python's own files may be closed to that user: what is loaded when it is needed must be there before.
            codecs.lookup("ascii")
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return work()

    part = _host.gather({"work": run}, time.monotonic() + 30)["work"]
    assert part["ok"], part
    return part["data"]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may enter; the one of pytest is its user's alone."""
    folder = Path(tempfile.mkdtemp(prefix="virtengine-privilege-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


class Host:
    """A host whose node is up, as a user without rights finds it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.home = home(root / "home")
        (self.home / "data/cs.wal").mkdir()
        (self.home / "data/cs.wal/wal").write_bytes(b"")
        (self.home / "data/upgrade-info.json").write_text('{"name": "v2", "height": 7}')
        self.configure('[rpc]\nladdr = "tcp://10.1.2.3:26657"\n')
        self.asked: list[str] = []
        self.program = root / "virtengine"
        self.program.write_bytes(b"program")
        self.unit = unit_of(f"{self.program} start --home {self.home}")
        self.unit.facts.update(dict.fromkeys(("started_at", "stopped_at", "invocation_id", "freezer_state")))
        self.unit.facts["main_pid"] = 7
        fake_proc(root / "proc", 1, "/sbin/init", "/init.scope")
        fake_proc(root / "proc", 7, f"{self.program} start --home {self.home}", f"/system.slice/{UNIT}")
        for name in ("journal/1", "locks", "used"):
            (root / name).mkdir(mode=0o700, parents=True)
        (root / "journal").chmod(0o755)
        (root / "journal/1/system.journal").write_bytes(b"")
        roots = _process.Roots(str(root / "proc"), str(root / "cg"))
        monkeypatch.setattr(_process, "scan", functools.partial(SCAN, roots=roots))
        monkeypatch.setattr(_systemd, "read", lambda name, timeout: self.unit)
        monkeypatch.setattr(_journal, "FOLDERS", (str(root / "journal"),))
        seen = functools.partial(_host_lock.seen, str(root / "locks"), str(root / "used"))
        monkeypatch.setattr(_host_lock, "seen", seen)
        # Who asks is another process: what it asked comes back as the text of the answer.
        monkeypatch.setattr(_cometbft, "gather", lambda url, deadline: dict.fromkeys(_cometbft.PARTS, refused(url)))

    def configure(self, text: str) -> None:
        (self.home / "config/config.toml").write_text(text)

    def close(self, *names: str) -> None:
        for name in names:
            (self.root / name).chmod(0)

    def evidence(self, **options: Any) -> dict[str, Any]:
        usual = collect.Options(UNIT, None, None, None, journal_since_s=60, deadline=15.0)
        work = functools.partial(collect.collect, usual._replace(**options))
        found: dict[str, Any] = as_nobody(work)
        return found


def refused(url: str) -> dict[str, Any]:
    return {"ok": False, "error": {"kind": "refused", "text": url}}


@pytest.fixture
def host(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(shared, monkeypatch)


def kinds(evidence: dict[str, Any]) -> dict[str, str]:
    """The kind of error of each part that failed."""
    return {
        name: part["error"]["kind"]
        for name, part in evidence.items()
        if isinstance(part, dict) and part.get("ok") is False
    }


OF_HOME = dict.fromkeys(("config", "genesis", "signer", "disk", "upgrade", "wal", "old_logs", "p2p"), "privilege")
HIDDEN = {**OF_HOME, "journal": "privilege", "responder_locks": "privilege"}


@pytest.mark.parametrize("closed", ["home", "home/config"])
def test_what_a_user_without_rights_may_not_see_says_so(host: Host, closed: str) -> None:
    host.close("home/config", "home/data", closed, "journal/1", "locks", "used")
    evidence = host.evidence()
    found = kinds(evidence)
    # The disk of a folder that is closed itself can be seen, not that of one inside a closed folder.
    if closed == "home/config":
        assert evidence["disk"]["data"]["path"] == str(host.home / "data")
        found["disk"] = "privilege"
    assert found == HIDDEN
    assert evidence["access"] == {"uid": NOBODY if os.geteuid() == 0 else os.geteuid(), "privileged": False}
    for name in HIDDEN.keys() & kinds(evidence).keys():
        text = evidence[name]["error"]["text"]
        assert "become" in text and (str(host.root) in text or UNIT in text), text


def test_unit_and_process_are_seen_and_the_usual_address_is_asked(host: Host) -> None:
    host.close("home")
    evidence = host.evidence()
    assert evidence["unit"]["ok"] and evidence["process"]["data"]["main"]["pid"] == 7
    assert evidence["paths"] == {
        "home": str(host.home),
        "home_source": "unit_flag",
        "rpc": USUAL,
        "rpc_source": "default",
    }
    assert {part["error"]["text"] for part in evidence["rpc"].values()} == {USUAL}


@pytest.mark.parametrize(
    ("flags", "variables", "options", "paths"),
    [
        ("", {}, {"rpc_url": "http://127.0.0.1:1"}, ("http://127.0.0.1:1", "option")),
        (" --rpc.laddr tcp://0.0.0.0:36657", {}, {}, ("http://127.0.0.1:36657", "unit_flag")),
        ("", {"VE_RPC_LADDR": "tcp://127.0.0.1:46657"}, {}, ("http://127.0.0.1:46657", "unit_env")),
        (" --rpc.laddr unix:///run/x", {}, {}, (None, None)),
    ],
)
def test_what_is_known_of_the_rpc_comes_before_its_usual_address(
    host: Host, flags: str, variables: dict[str, str], options: dict[str, str], paths: tuple[Any, Any]
) -> None:
    host.close("home")
    facts = host.unit.facts
    host.unit = unit_of(f"{host.program} start --home {host.home}{flags}", variables)
    host.unit.facts.update(facts)
    found = host.evidence(**options)
    assert (found["paths"]["rpc"], found["paths"]["rpc_source"]) == paths
    assert found["config"]["error"]["kind"] == "privilege"


def test_the_usual_address_is_no_guess_for_a_configuration_that_is_wrong(host: Host) -> None:
    host.configure("[rpc]\nladdr = ???\n")
    evidence = host.evidence()
    assert (evidence["paths"]["rpc"], evidence["paths"]["rpc_source"]) == (None, None)
    assert evidence["config"]["ok"] and evidence["rpc"]["status"]["error"]["kind"] == "cannot_tell"
    assert evidence["genesis"]["error"]["kind"] == evidence["wal"]["error"]["kind"] == "cannot_tell"


def test_a_user_that_may_read_the_home_lacks_nothing_of_it(host: Host) -> None:
    evidence = host.evidence()
    assert evidence["paths"]["rpc"] == "http://10.1.2.3:26657" and evidence["paths"]["rpc_source"] == "config"
    for name in ("config", "genesis", "signer", "disk", "upgrade", "wal", "p2p"):
        assert evidence[name]["ok"], name
    assert evidence["signer"]["data"]["address"] == ADDRESS


@pytest.mark.parametrize(
    ("closed", "part"),
    [
        ("home/config/app.toml", "config"),
        ("home/config/genesis.json", "genesis"),
        ("home/config/priv_validator_key.json", "signer"),
        ("home/data/upgrade-info.json", "upgrade"),
        ("home/data/cs.wal", "wal"),
        ("home/data/cs.wal/wal", "wal"),
        ("journal", "journal"),
        ("journal/1", "journal"),
        ("journal/1/system.journal", "journal"),
        ("locks", "responder_locks"),
        ("used", "responder_locks"),
    ],
)
def test_one_place_that_is_closed_costs_its_own_part(host: Host, closed: str, part: str) -> None:
    (host.home / "config/app.toml").write_text("halt-height = 0\n")
    # The locks of the user that runs use here: without rights, its own.
    for name in ("locks", "used"):
        if os.geteuid() == 0:
            os.chown(host.root / name, NOBODY, NOBODY)
    (host.root / "journal/1").chmod(0o755)
    host.close(closed)
    found = kinds(host.evidence())
    assert found.pop(part) == "privilege"
    assert "privilege" not in {kind for name, kind in found.items() if name != "old_logs"}


def test_a_signing_state_that_is_closed_leaves_the_address(host: Host) -> None:
    host.close("home/data/priv_validator_state.json")
    signer = host.evidence()["signer"]["data"]
    assert signer["address"] == ADDRESS and signer["state"] is None
    assert signer["state_error"]["kind"] == "privilege"


def test_the_disk_around_a_closed_home_is_not_taken_for_the_disk_of_its_data(host: Host) -> None:
    host.close("home")
    assert host.evidence()["disk"]["error"]["kind"] == "privilege"
    host.home.chmod(0o755)
    shutil.rmtree(host.home / "data")
    assert files.disk(str(host.home))["path"] == str(host.home)
    (host.home / "data").write_text("")
    assert files.disk(str(host.home))["path"] == str(host.home)


def test_a_file_of_variables_that_is_closed_hides_all_that_it_may_set(host: Host) -> None:
    (host.root / "env").write_text("VE_HOME=/srv/other\n")
    facts = host.unit.facts
    host.unit = unit_of(f"{host.program} start")._replace(environment_files=[(str(host.root / "env"), False)])
    host.unit.facts.update(facts)
    assert host.evidence()["paths"]["home"] == "/srv/other"
    host.close("env")
    evidence = host.evidence()
    assert evidence["paths"] == {"home": None, "home_source": None, "rpc": USUAL, "rpc_source": "default"}
    found = kinds(evidence)
    assert {name: found[name] for name in OF_HOME} == OF_HOME


def test_the_variables_of_a_process_that_are_closed_are_not_read_as_none(host: Host) -> None:
    facts = host.unit.facts
    host.unit = unit_of("/usr/local/bin/run-node.sh")
    host.unit.facts.update(facts)
    (host.root / "proc/7/cmdline").write_bytes(b"/usr/bin/virtengine\0start\0")
    assert host.evidence()["paths"] == {"home": "/x", "home_source": "unit_env", "rpc": USUAL, "rpc_source": "default"}
    host.close("proc/7/environ")
    evidence = host.evidence()
    assert evidence["paths"] == {"home": None, "home_source": None, "rpc": USUAL, "rpc_source": "default"}
    found = kinds(evidence)
    assert {name: found[name] for name in OF_HOME} == OF_HOME


def test_processes_that_are_hidden_hide_how_a_script_starts_the_node(host: Host) -> None:
    facts = host.unit.facts
    host.unit = unit_of("/bin/sh -c run-node")
    host.unit.facts.update(facts)
    shutil.rmtree(host.root / "proc/1")
    evidence = host.evidence()
    found = kinds(evidence)
    wanted = {**OF_HOME, "process": "privilege", "binary": "privilege"}
    assert {name: found[name] for name in wanted} == wanted and evidence["paths"]["rpc"] == USUAL


def test_a_unit_and_processes_that_are_hidden_hide_the_node(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, timeout: float) -> _systemd.Unit:
        raise _host.PartError("privilege", f"systemctl show {name}: Access denied")

    monkeypatch.setattr(_systemd, "read", refuse)
    assert host.evidence()["paths"]["home_source"] == "process"
    shutil.rmtree(host.root / "proc/7")
    evidence = host.evidence()
    wanted = {**OF_HOME, "unit": "privilege", "binary": "privilege"}
    found = kinds(evidence)
    assert {name: found[name] for name in wanted} == wanted and evidence["paths"]["rpc"] == USUAL


def test_variables_of_cosmovisor_that_are_closed_leave_the_program_unknown(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    unit = unit_of("/usr/bin/cosmovisor run start")._replace(environment_files=[(str(tmp_path / "env/x"), False)])
    (tmp_path / "env").chmod(0)

    def kind() -> str:
        try:
            places.programs(unit, None)
        except _host.PartError as error:
            return error.kind
        return ""

    assert as_nobody(kind) == "privilege"


def test_what_cannot_be_read_for_another_reason_is_not_want_of_rights(tmp_path: Path) -> None:
    (tmp_path / "config/config.toml").mkdir(parents=True)
    key = _config.PLACES["rpc_laddr"]
    content = _config.Files(str(tmp_path))
    assert _config.denied(key, _config.Launch({}, {}), content) is None
    assert _config.denied(key, _config.Launch({}, {}, _config.Unreadable("a script")), content) is None
    assert _config.denied(key, _config.Launch({}, {}, _config.Denied("hidden")), content) == "hidden"
    assert _config.denied(key, _config.Launch({key.flag or "": "tcp://x:1"}, {}, _config.Denied("no")), content) is None


def test_evidence_that_was_late_says_late(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "find", lambda *args: time.sleep(60))
    evidence = host.evidence(home=str(host.home), deadline=4.0)
    found = kinds(evidence)
    wanted = dict.fromkeys(("config", "genesis", "signer", "wal", "old_logs", "p2p", "binary"), "late")
    assert {name: found[name] for name in wanted} == wanted
    assert evidence["disk"]["ok"] and evidence["paths"]["rpc"] is None


@pytest.mark.parametrize(
    "error", ["Failed to get properties: Access denied", "Failed to connect to bus: Permission denied"]
)
def test_a_systemd_that_refuses_an_answer(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    monkeypatch.setattr(_systemd, "command", lambda argv, timeout: _host.Output(1, "", error))
    with pytest.raises(_host.PartError) as caught:
        _systemd.read(UNIT, 1)
    assert caught.value.kind == "privilege"


def test_a_key_file_that_may_not_be_read_is_not_said_to_be_there_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(_signer, "key_address", refuse)
    with pytest.raises(_host.PartError) as caught:
        _signer.read("/x", "config/priv_validator_key.json", None, "")
    assert caught.value.kind == "privilege" and "priv_validator_key.json" in caught.value.text
