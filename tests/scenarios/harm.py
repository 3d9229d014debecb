# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and answers that are made to harm whoever reads them."""

from __future__ import annotations

import base64
import shlex

from tests.scenarios.fleet import HOME, UNIT, Fleet

PORT = 9657
NAME = "{{ lookup('pipe','id') }}<script>alert(1)</script>"
CONFIG = f"{HOME}/config/config.toml"
KEPT = "/root/config.toml"
SERVICE = "hostile-rpc"
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


def python(source: str, *arguments: str) -> str:
    """A shell command that runs this source; its text passes through no quoting but base64."""
    code = base64.b64encode(source.encode()).decode()
    return shlex.join(["python3", "-c", f"import base64; exec(base64.b64decode('{code}'))", *arguments])


def give_name(fleet: Fleet, host: str) -> None:
    """The node's own name, which it tells every peer, is made to harm from its next start on."""
    fleet.on(host, f"cp -p {CONFIG} {KEPT} && {python(MONIKER, CONFIG, NAME)} && systemctl restart {UNIT}")


def take_name(fleet: Fleet, host: str) -> None:
    """The name is what it was."""
    fleet.on(host, f"mv {KEPT} {CONFIG} && systemctl restart {UNIT}")


def answer(fleet: Fleet, host: str, kind: str) -> None:
    """Something else than a node answers at ``PORT`` of the host: ``endless`` or ``html``."""
    fleet.on(host, f"systemd-run --quiet --unit {SERVICE} {python(SERVER, kind)}")


def answer_no_more(fleet: Fleet, host: str) -> None:
    fleet.on(host, f"systemctl stop {SERVICE} || true")
