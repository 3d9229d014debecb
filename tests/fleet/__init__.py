# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test fleet: real hosts (systemd, journald, sshd) with a real chain, on one Debian machine, as root.

Run it with ``python3 -m tests.fleet`` from the repository's root, or use ``tests.fleet.rig.Rig``.
"""
