# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of a signer and how far it has signed; never its key, never its signatures. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import re
import typing as t

from .._host.parts import PartError, part_error
from .config import INT64_MAX

FILE_CAP = 64 * 1024
_ADDRESS = re.compile(rb'"address"\s*:\s*"([0-9A-Fa-f]{40})"')


def key_address(path: str) -> str | None:
    """The consensus address (40 upper-case hex digits) from the ``address`` field of a key file.

    None when the file does not have exactly one. The file's bytes, which hold the private key, stay in one buffer of
    this function and are overwritten before it returns. Raises OSError when the file cannot be read.
    """
    buffer = bytearray(FILE_CAP)
    try:
        with open(path, "rb", buffering=0) as stream:
            length = stream.readinto(buffer) or 0
        addresses = {match.group(1) for match in _ADDRESS.finditer(buffer, 0, length)}
        return bytes(addresses.pop()).decode("ascii").upper() if len(addresses) == 1 else None
    finally:
        buffer[:] = bytes(FILE_CAP)


def signing_state(path: str) -> dict[str, int]:
    """Height, round and step of the last signature, ``{"height", "round", "step"}``; the signature is dropped.

    Raises PartError ``absent``, ``privilege``, ``too_large``, ``malformed``.
    """
    try:
        with open(path, "rb") as stream:
            raw = stream.read(FILE_CAP + 1)
    except OSError as error:
        raise part_error(error, path) from error
    if len(raw) > FILE_CAP:
        raise PartError("too_large", f"{path}: larger than {FILE_CAP} bytes")
    if not raw.strip():
        raise PartError("malformed", f"{path}: the signing state is empty")
    try:
        content = json.loads(raw, object_pairs_hook=_no_double)
    except (ValueError, RecursionError) as error:
        raise PartError("malformed", f"{path}: the signing state is not JSON") from error
    if not isinstance(content, dict):
        raise PartError("malformed", f"{path}: the signing state is not an object")
    # Limits: height int64, round int32, step 0 (nothing signed yet) to 3 (precommit), CometBFT privval/file.go.
    return {
        "height": _integer(content, "height", INT64_MAX, path),
        "round": _integer(content, "round", 2**31 - 1, path),
        "step": _integer(content, "step", 3, path),
    }


def _no_double(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name is given twice")
    return content


def _integer(content: dict[str, t.Any], name: str, limit: int, path: str) -> int:
    value = content.get(name)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise PartError("malformed", f"{path}: {name} is not a number from 0 to {limit}")
    return value


def read(home: str, key_file: str | None, state_file: str | None, laddr: str | None) -> dict[str, t.Any]:
    """The contract's ``signer`` data. Paths are relative to ``home`` or absolute; None is a setting nobody can tell.

    Raises PartError ``privilege`` where the key file may not be read: who signs here is then not known.
    """
    facts: dict[str, t.Any] = {
        "address": None,
        "key_file": None,
        "remote": None if laddr is None else laddr != "",
        "state": None,
        "state_error": {"kind": "cannot_tell", "text": "the place of the signing state is not known"},
    }
    if key_file is not None:
        try:
            facts["address"] = key_address(os.path.join(home, key_file))
            facts["key_file"] = True
        except (FileNotFoundError, NotADirectoryError):
            facts["key_file"] = False
        except PermissionError as error:
            raise part_error(error, "signer") from error
    if state_file is not None:
        try:
            facts["state"] = signing_state(os.path.join(home, state_file))
            facts["state_error"] = None
        except PartError as error:
            facts["state_error"] = error.part()["error"]
    return facts
