# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old log files, compressed until enough is free. PRIVATE to the collection."""

from __future__ import annotations

import os
import shlex
import time
import typing as t

from ansible_collections.virtengine.incident.plugins.module_utils._host import gzip as _gzip_in_place
from ansible_collections.virtengine.incident.plugins.module_utils._host.files import run_name
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, clean
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._logs import staged as _old_logs_staged
from ansible_collections.virtengine.incident.plugins.module_utils._node import places as _node_places
from ansible_collections.virtengine.incident.plugins.module_utils._node import service


class Unfinished(Exception):
    """The work ended when files had been compressed already. The text says why, ``result`` what was done."""

    def __init__(self, why: str, result: dict[str, t.Any]) -> None:
        why = why.replace(" Nothing was done", "").rstrip(".")
        done, staged = len(result["files"]), len(result["staged"])
        waiting = f", and {staged} copies wait for their places" if staged else ""
        super().__init__(f"{why}. Before that, {done} old logs were compressed{waiting}; the next run goes on")
        self.result = result


def compress(
    unit: str,
    home: t.Optional[str],
    run: str,
    enough: int,
    seconds: float,
    check: bool,
) -> dict[str, t.Any]:
    """Compress old logs, smallest first, until ``enough`` bytes are free for the node or ``seconds`` have passed.

    Smallest first: on a full disk the copy of a small file fits where that of a large one does not, and makes room for
    the next. Where the copy of one does not fit on its disk, it is made on another. What a killed run left there is
    finished first. Returns ``changed``, ``folder``, ``free_bytes_before``, ``free_bytes_after``,
    ``enough``, ``files``, ``left``, ``staged``, ``undo`` and ``actions`` as the module documents them.
    Raises Unfinished; and, where nothing was changed, Refused, service.Refused, PartError, ValueError, OSError.
    """
    suffix = f".incident-{run_name(run)}.gz"
    cap = _old_logs.SUFFIX_CAP
    if len(suffix) > cap:
        raise ValueError(f"{run!r} is too long: gzip could not undo {suffix}, a suffix of more than {cap} characters")
    until = time.monotonic() + seconds
    down = service.at_rest(unit)
    places = _node_places.find(down, None, home, None, None)
    if places["home"] is None:
        raise _old_logs.Refused(
            f"The home of the node of {unit} is not known. Give it with the option home. Nothing was done."
        )
    folder = _old_logs.data_folder(places["home"])
    before = _old_logs.free(folder)
    reach = _old_logs.Reach(places["home"], places["wal_file"])
    with _old_logs_staged.Staging(reach) as staging:
        work = _Work()
        try:
            work.take(staging.finish(suffix, check))
            if (_old_logs.free(folder) if work.done else before) < enough:
                files = _old_logs.find(places["home"], places["wal_file"], time.time(), until)
                if check:
                    work.done += [(file, None) for file in files]
                else:
                    _pack(work, files, suffix, until, lambda: _old_logs.free(folder) >= enough, staging)
            after = None if check and work.done else _old_logs.free(folder)
        except (_old_logs.Refused, PartError, OSError) as error:
            if check or not work.changed:
                raise
            result = _result(work, places["home"], suffix, folder, before, None, enough)
            raise Unfinished(clean(error).rstrip("."), result) from error
    return _result(work, places["home"], suffix, folder, before, after, enough)


def _result(
    work: _Work, home: str, suffix: str, folder: str, before: int, after: t.Optional[int], enough: int
) -> dict[str, t.Any]:
    """What ``compress`` returns; ``after`` is None where nobody can tell."""
    done = [_shown(file, suffix, size) for file, size in work.done]
    actions = [f"take away the staged copy of {clean(path)}, which is there" for path in work.spare]
    actions += [f"compress {file['path']} to {os.path.basename(file['compressed'])}" for file in done]
    return {
        "changed": work.changed,
        "folder": clean(folder),
        "free_bytes_before": before,
        "free_bytes_after": after,
        "enough": None if after is None else after >= enough,
        "files": done,
        "left": _left(work.rest, work.kept, work.ended),
        "staged": work.waiting,
        "undo": _undo(home, suffix) if done else None,
        "actions": actions,
    }


def failure(result: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """What to say where nothing was compressed though not enough is free; None else."""
    if result["enough"] or result["files"]:
        return None
    reasons = [*result["left"]["because"], *result["staged"]] or ["there are no old logs"]
    return f"Nothing was compressed: {'; '.join(reasons)}."


class _Work:
    """Files with the bytes of their copies, those that stay each for a reason, and those not reached, all for one.

    ``spare`` and ``waiting`` are as of what was finished in the staging folder. ``staged``: a file went there.
    """

    def __init__(self) -> None:
        self.done: list[tuple[_gzip_in_place.File, t.Optional[int]]] = []
        self.kept: list[tuple[_gzip_in_place.File, str]] = []
        self.rest: list[_gzip_in_place.File] = []
        self.ended = ""
        self.spare: list[str] = []
        self.waiting: list[str] = []
        self.staged = False

    @property
    def changed(self) -> bool:
        """Whether anything was done, or in check mode would be."""
        return bool(self.done or self.spare or self.staged)

    def take(self, finished: _old_logs_staged.Finished) -> None:
        """Count what was finished; what waits is what waits now."""
        self.done += finished.done
        self.spare += finished.spare
        self.waiting = finished.waiting


def _pack(
    work: _Work,
    files: t.Sequence[_gzip_in_place.File],
    suffix: str,
    until: float,
    enough: t.Callable[[], bool],
    staging: _old_logs_staged.Staging,
) -> None:
    work.rest, work.ended = list(files), "enough is free"
    while work.rest and not enough():
        file = work.rest[0]
        try:
            try:
                work.done.append((file, _gzip_in_place.pack(file, suffix, until)))
            except _gzip_in_place.Full:
                staging.stage(file, until)
                work.staged = True
        except _gzip_in_place.Kept as why:
            work.kept.append((file, str(why)))
        except _gzip_in_place.Stopped as why:
            work.ended = str(why)
            return
        del work.rest[0]
        # Of one that others left no room for, another try: each file makes some.
        work.take(staging.finish(suffix, False))


def _shown(file: _gzip_in_place.File, suffix: str, size: t.Optional[int]) -> dict[str, t.Any]:
    path = clean(file.path)
    return {"path": path, "bytes": file.size, "compressed": f"{path}{suffix}", "compressed_bytes": size}


def _left(
    files: t.Sequence[_gzip_in_place.File], kept: t.Sequence[tuple[_gzip_in_place.File, str]], ended: str
) -> dict[str, t.Any]:
    """What stays as it is, and the reasons, each with the number of files."""
    reasons: dict[str, int] = {}
    for _file, why in kept:
        reasons[why] = reasons.get(why, 0) + 1
    if files:
        reasons[ended] = len(files)
    return {
        "files": len(files) + len(kept),
        "bytes": sum(file.size for file in files) + sum(file.size for file, _why in kept),
        "because": [f"{clean(why)} ({number})" for why, number in reasons.items()],
    }


def _undo(home: str, suffix: str) -> str:
    """One command for all files, which also reaches those whose names cannot be typed."""
    roots = " ".join(shlex.quote(root) for root in _old_logs.roots(home) if os.path.isdir(root))
    return f"find {roots} -name '*{suffix}' -exec gzip -d -S {suffix} {{}} +"
