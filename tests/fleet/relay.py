# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh ProxyCommand: passes bytes between its input and output and a port of a host. Run in the control namespace."""

from __future__ import annotations

import os
import socket
import sys
import threading


def _send(link: socket.socket) -> None:
    while data := os.read(0, 65536):
        link.sendall(data)
    link.shutdown(socket.SHUT_WR)


def main(host: str, port: str) -> None:
    with socket.create_connection((host, int(port)), timeout=5) as link:
        link.settimeout(None)
        threading.Thread(target=_send, args=(link,), daemon=True).start()
        while data := link.recv(65536):
            sent = 0
            while sent < len(data):
                sent += os.write(1, data[sent:])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
