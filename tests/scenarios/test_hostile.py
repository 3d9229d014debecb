# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers and names that are made to harm: each is one clear observation, and the run goes on."""

from __future__ import annotations

import base64
import shlex

import pytest

from tests.scenarios.conftest import OURS
from tests.scenarios.fleet import Fleet
from tests.scenarios.responder import Responder

pytestmark = pytest.mark.fleet

PORT = 9657
NAME = "{{ lookup('pipe','id') }}<script>alert(1)</script>"
# What stands where the node's RPC is looked for: an answer without an end, or a page of another service.
SERVER = f"""
import socket, sys, threading
page = b"<html><body>502 Bad Gateway {{{{ 7*7 }}}}</body></html>"
def serve(conn):
    conn.recv(4096)
    try:
        if sys.argv[1] == "html":
            conn.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(page) + page)
        else:
            conn.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n{{"jsonrpc":"2.0","id":-1,"result":["\\x1b[31m')
            while True:
                conn.sendall(b"A" * 65536)
    except OSError:
        pass
    conn.close()
server = socket.create_server(("127.0.0.1", {PORT}))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


MONIKER = """
import re, sys
path, name = sys.argv[1:]
text = open(path).read()
open(path, "w").write(re.sub("(?m)^moniker = .*$", lambda found: 'moniker = "' + name + '"', text))
"""


def _python(source: str, *arguments: str) -> str:
    """A shell command that runs this source; its text passes through no quoting but base64."""
    code = base64.b64encode(source.encode()).decode()
    return shlex.join(["python3", "-c", f"import base64; exec(base64.b64decode('{code}'))", *arguments])


def test_hostile_answers_and_names_change_nothing(fleet: Fleet, responder: Responder) -> None:
    config = "/var/lib/virtengine/.virtengine/config/config.toml"
    fleet.on("vh4", f"cp -p {config} /root/config.toml")
    try:
        fleet.on("vh4", f"{_python(MONIKER, config, NAME)} && systemctl restart virtengine.service")
        fleet.wait_for_blocks("vh4")
        for host, kind in (("vs1", "endless"), ("vh2", "html")):
            fleet.on(host, f"systemd-run --quiet --unit hostile-rpc {_python(SERVER, kind)}")
        inventory = responder.site / "validators"
        lied = [
            f"{line} incident_node_rpc=http://127.0.0.1:{PORT}" if line.startswith(("vs1 ", "vh2 ")) else line
            for line in inventory.read_text(encoding="utf-8").splitlines()
        ]
        inventory.write_text("\n".join(lied) + "\n", encoding="utf-8")
        fleet.fault("stop", "vh1")
        fleet.wait_until_halted("vh3")
        before = fleet.units(*OURS)
        run = responder.run()
        assert run.code == 0, run.output
        assert run.causes == ["processes_down"]
        assert run.steps() == [("start_node", "vh1")]
        assert "uid=" not in run.output
        assert "\x1b" not in run.output
        (report,) = responder.site.glob("incidents/*/report.html")
        assert "<script>alert(1)" not in report.read_text(encoding="utf-8")
        (evidence,) = responder.site.glob("incidents/*/evidence-*.json")
        assert evidence.stat().st_size < 1_000_000
        assert fleet.units(*OURS) == before
    finally:
        fleet.on("vs1", "systemctl stop hostile-rpc || true")
        fleet.on("vh2", "systemctl stop hostile-rpc || true")
        fleet.on("vh4", f"cp -p /root/config.toml {config} && systemctl restart virtengine.service")
