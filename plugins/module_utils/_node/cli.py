# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read-only commands of the ``virtengine`` CLI, run so that they leave nothing behind. PRIVATE to the collection.

Any command of that CLI writes config.toml and app.toml into its home when they are missing, so that questions to a node
are asked with a home of their own that is removed afterwards. Its exit codes lie: an unknown query module is answered
with help and exit code 0, an empty list of proposals with exit code 1.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

from .._cometbft.fields import INT64, whole
from .._host import json as _rpc_json
from .._host.parts import PartError, clean, environment

# By first words: does the command ask a node, read a home, or neither; and what it prints.
_ASKS, _READS, _KNOWS = "asks a node", "reads a home", "knows by itself"
_ALLOWED = {
    ("status",): (_ASKS, "json"),
    ("query",): (_ASKS, "json"),
    ("version",): (_KNOWS, "json"),
    ("comet", "version"): (_KNOWS, "lines"),
    ("comet", "show-node-id"): (_READS, "text"),
    ("comet", "show-address"): (_READS, "text"),
    ("comet", "show-validator"): (_READS, "json"),
}
# Flags that are set here or that lead elsewhere. Short ones can be run together (-ojson), so none is taken; behind a
# bare "--" the flags set here would be read as words.
_REFUSED = re.compile(
    r"--|-[A-Za-z].*|--(?:home|node|output|trace|log[a-z_-]*|grpc[a-z-]*|keyring[a-z-]*)(?:=.*)?", re.DOTALL
)
_WORD = re.compile(r"[^\x00-\x1f\x7f]{1,1000}")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9 _]{0,40}): +(\S.{0,200})")
_OWN_FLAG = re.compile(r"unknown (?:flag: --(?:node|output|home)|shorthand flag: 'o')|unknown command")
_STDERR_CAP = 64 * 1024
# int64 fields of the answers this collection reads, which the CLI writes as text (proto3 JSON).
INTEGERS = frozenset(
    (
        "block_height",
        "dseq",
        "earliest_block_height",
        "height",
        "index_offset",
        "latest_block_height",
        "missed_blocks_counter",
        "proposer_priority",
        "start_height",
        "unbonding_height",
        "voting_power",
    )
)


def check(words: list[str], home: t.Optional[str]) -> None:
    """Refuse anything but a read-only command that is known. Raises ValueError with a sentence for people."""
    if not words or not all(_WORD.fullmatch(word) for word in words):
        raise ValueError("command must be a list of words without control characters")
    known = _known(words)
    if known is None:
        allowed = ", ".join(" ".join(names) for names in _ALLOWED)
        raise ValueError(f"this command is not one of the read-only ones that are allowed: {allowed}")
    names, (source, _form) = known
    refused = [word for word in words if _REFUSED.fullmatch(word)]
    if refused:
        raise ValueError(f"{clean(refused[0], 60)} must not be given: short flags and what the module sets are refused")
    if names != ("query",) and len(words) > len(names):
        raise ValueError(f"{' '.join(names)} takes nothing more here")
    if names == ("query",) and (len(words) < 2 or words[1].startswith("-")):
        raise ValueError("a query begins with the name of a module, such as staking")
    if (source == _READS) != (home is not None):
        raise ValueError("home is needed for comet show-node-id, show-address and show-validator, and for nothing else")


def node_flag(node: str) -> str:
    """The address of a node for ``--node``: tcp, http or https with host and port. Raises ValueError."""
    if not re.fullmatch(r"(?:tcp|https?)://(?:[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:]{2,45}\])(?::[0-9]{1,5})?/?", node):
        raise ValueError("node must have the form tcp://host:port, http://host:port or https://host:port")
    return node


def ask(executable: str, words: list[str], node: str, home: t.Optional[str], timeout: float) -> t.Any:
    """Run one allowed command and return what it says: JSON as it is, ``show-*`` as text, an empty list as ``{}``.

    executable: name or path; words: checked by ``check``; timeout: seconds. Fields named in INTEGERS become integers.
    Raises PartError: absent, unknown_command, refused, unreachable, late, rpc, malformed, too_large or failed.
    """
    known = _known(words)
    program = shutil.which(executable, path=environment()["PATH"])
    if known is None or program is None:
        raise PartError("absent", f"there is no program {clean(executable, 100)} on this host; give its path")
    source, form = known[1]
    if home is not None and not os.access(os.path.join(home, "config", "config.toml"), os.R_OK):
        raise PartError("absent", f"{home}/config/config.toml cannot be read; is this the home of a node, and yours?")
    scratch = tempfile.mkdtemp(prefix="virtengine-query-")
    try:
        flags = ["--home", home or os.path.join(scratch, "home")]
        if source == _ASKS:
            flags += ["--node", node, "--output", "json"]
        if words == ["version"]:
            flags += ["--long", "--output", "json"]
        code, out, err = _run([program, *words, *flags], scratch, timeout)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _answer(words, form, code, _ANSI.sub("", out), _ANSI.sub("", err))


def _known(words: list[str]) -> t.Optional[tuple[tuple[str, ...], tuple[str, str]]]:
    return next(((names, how) for names, how in _ALLOWED.items() if tuple(words[: len(names)]) == names), None)


def _run(argv: list[str], scratch: str, timeout: float) -> tuple[int, str, str]:
    """Run without a shell, bounded in time and output. Raises PartError: late, too_large or failed."""
    until = time.monotonic() + timeout
    # Nothing of the caller's environment: VE_* variables would overrule the flags' defaults.
    env = {**environment(), "HOME": scratch}
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=scratch,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        raise PartError("failed", f"{argv[0]} cannot be run: {error.strerror}") from None
    try:
        out, err = _collect(process, until)
        code = process.wait(max(until - time.monotonic(), 0.1))
    except BaseException as error:
        # The session is the command's own: whatever it started ends with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise PartError("late", f"no answer of the command within {timeout:g} s") from None
        raise
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
    return code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def _collect(process: subprocess.Popen[bytes], until: float) -> tuple[bytes, bytes]:
    texts: dict[t.Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for pipe in texts:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired("", 0)
            for key, _events in selector.select(left):
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                text = texts[key.fileobj]
                text.extend(piece)
                if key.fileobj is process.stderr:
                    # The error is the last thing it says.
                    del text[:-_STDERR_CAP]
                elif len(text) > _rpc_json.TREE_CAP:
                    what = f"the command printed more than {_rpc_json.TREE_CAP} bytes"
                    raise PartError("too_large", f"{what}; ask for less, for example with --limit")
    return bytes(texts[process.stdout]), bytes(texts[process.stderr])


def _answer(words: list[str], form: str, code: int, out: str, err: str) -> t.Any:
    if code:
        return _failure(words, err or out)
    if form == "json":
        tree = _json(out)
        if tree is not None:
            return _integers(tree)
        if re.search(r"^Usage:$", out, re.MULTILINE):
            raise PartError("unknown_command", f"the program does not know the command {clean(' '.join(words), 100)}")
        raise PartError("malformed", f"the program was asked for JSON and printed something else: {clean(out, 80)}")
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    if form == "lines":
        pairs = [_LINE.fullmatch(line) for line in lines]
        if lines and all(pairs):
            return {clean(pair.group(1), 60): clean(pair.group(2)) for pair in pairs if pair}
    elif len(lines) == 1 and " " not in lines[0]:
        return clean(lines[0])
    raise PartError("malformed", f"the program printed something else than expected: {clean(out, 80)}")


def _failure(words: list[str], output: str) -> dict[str, t.Any]:
    """The error that a non-zero exit code stands for; an empty answer where it only means that there is nothing."""
    errors = re.findall(r"^(?:Error|panic): .*$", output, re.MULTILINE)
    text = clean(errors[-1] if errors else output[-1000:], 200)
    if re.fullmatch(r"Error: no [a-z ]+ found", text):
        return {}
    kinds = (
        ("unknown_command", _OWN_FLAG),
        ("refused", re.compile("connection refused")),
        ("unreachable", re.compile("no such host|no route to host|network is unreachable|i/o timeout")),
        ("rpc", re.compile("rpc error: code|error code: -32|RPC error -32")),
    )
    kind = next((name for name, pattern in kinds if pattern.search(text)), "failed")
    if kind == "unknown_command":
        text = f"the program does not know the command {clean(' '.join(words), 100)} ({text})"
    raise PartError(kind, text)


def _json(out: str) -> t.Any:
    """The JSON an output ends in, after any lines of log; None when there is none."""
    starts = [match.start() for match in re.finditer(r"^[\[{]", out, re.MULTILINE)]
    for start in starts[:20]:
        try:
            return _rpc_json.loads(out[start:].encode("utf-8", "replace"))
        except PartError:
            continue
    return None


def _integers(value: t.Any) -> t.Any:
    """The same tree with the int64 fields as integers. A text that is no int64 stays as it is."""
    if isinstance(value, list):
        return [_integers(item) for item in value]
    if not isinstance(value, dict):
        return value
    converted = {}
    for key, item in value.items():
        number = whole(item) if key in INTEGERS and isinstance(item, str) else None
        converted[key] = number if number is not None and -INT64 <= number <= INT64 else _integers(item)
    return converted
