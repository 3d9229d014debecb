# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that ask the RPC of a node."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the RPC is and how its certificate is judged."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the RPC, C(http://host:port) or C(https://host:port), with a path when a proxy puts the RPC under one.
      - It carries no user name, password, query or fragment.
      - Proxies of the environment are never used.
    type: str
    default: http://127.0.0.1:26657
  validate_certs:
    description: Whether the certificate of an C(https) address must be valid for its host name.
    type: bool
    default: true
  ca_path:
    description: A file with the certificates of the authorities to trust instead of those of the system.
    type: path
"""
