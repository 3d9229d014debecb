# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of the key that a node signs with, and of what it has signed last."""

from __future__ import annotations

import typing as t

from .node import NodeEvidence


def is_remote(data: NodeEvidence) -> t.Optional[bool]:
    """Whether the key is held by a remote signer (``priv_validator_laddr``); None: cannot tell."""
    listens = data.setting("priv_validator_laddr")
    remote = data.signer.flag("remote")
    if remote is True or (isinstance(listens, str) and listens):
        return True
    return False if remote is False or listens == "" else None


def signed_for(data: NodeEvidence) -> t.Optional[tuple[int, int, int]]:
    """Height, round and step of the signing state on the host; None where it is not known."""
    state = data.signer.inner("state")
    if state is None:
        return None
    height, round_, step = state.integer("height"), state.integer("round"), state.integer("step")
    return None if height is None or round_ is None or step is None else (height, round_, step)


def signed_height(data: NodeEvidence) -> t.Optional[int]:
    """The height that the node has signed for last."""
    state = data.signer.inner("state")
    return state.integer("height") if state is not None else None
