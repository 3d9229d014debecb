# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's shape: it works with everything else deleted, and its parts agree with each other."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml

from tools import places, role_readmes

REPO = Path(__file__).resolve().parents[2]
PLUGINS = REPO / "plugins"
COLLECTION = "virtengine.incident"
PACKAGE = "ansible_collections.virtengine.incident"

# What content that is called by its full name may use.
KEPT = {"meta", "plugins", "roles", "playbooks"}
# What else may be in the archive that users install.
ALSO_SHIPPED = {"docs", "changelogs", "extensions", "inventories"}
ALSO_SHIPPED |= {
    "FILES.json",
    "MANIFEST.json",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CHANGELOG.rst",
    "CONTRIBUTING.md",
}

MAX_LINES = 449
WRITTEN_BY_HAND = {".py", ".go", ".md", ".yml", ".yaml", ".toml", ".sh", ".j2", ".cfg", ".in", ""}
NOT_BY_HAND = {"LICENSE"}
# Recorded answers are kept as they came.
RECORDED = {"data", "samples", "recorded", "testdata"}

# Modules of the standard library that neither read the world nor change it.
PURE = {
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "html", "itertools", "json", "math", "operator", "re",
    "shlex", "statistics", "string", "struct", "textwrap", "types", "typing", "unicodedata",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}
# The controller's own hands, and what asks a thousand endpoints at once.
IMPURE = {"_controller", "fan_out"}
CLOCK_CALLS = {"now", "utcnow", "today"}


def project_files() -> list[Path]:
    """The files that Git keeps or would keep."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPO, check=True, capture_output=True).stdout
    return [REPO / os.fsdecode(name) for name in listed.split(b"\0") if name and (REPO / os.fsdecode(name)).is_file()]


def stems(folder: str) -> set[str]:
    return {path.stem for path in (PLUGINS / folder).glob("*.py") if path.stem != "__init__"}


def load(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever in the file; relative ones are resolved."""
    names: set[str] = set()
    package = [*PACKAGE.split("."), *path.relative_to(REPO).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def calls(path: Path) -> set[str]:
    """Names of what a file calls: ``open`` of ``open(...)``, ``now`` of ``datetime.now(...)``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names.add(node.func.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names.add(f".{node.func.attr}")
    return names


def ansible(program: str, *arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs so that it sees only the collections below ``root``, and none of the checkout."""
    kept = ("PATH", "LANG", "LC_ALL")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env.update(
        HOME=str(root),
        ANSIBLE_HOME=str(root / "ansible-home"),
        ANSIBLE_COLLECTIONS_PATH=str(root),
        ANSIBLE_NOCOLOR="1",
        PYTHONDONTWRITEBYTECODE="1",
    )
    command = [str(Path(sys.executable).parent / program), *arguments]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    done = ansible("ansible-galaxy", "collection", "build", str(REPO), "--output-path", str(folder), root=folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def bare(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path with the built collection, of which everything but the four folders is deleted, and its dependency."""
    root = tmp_path_factory.mktemp("bare")
    home = root / "ansible_collections" / "virtengine" / "incident"
    home.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if member.name.split("/")[0] in KEPT]
        tar.extractall(home, members=members, filter="data")
    places.link_dependency(root)
    return root


def test_the_archive_holds_what_users_need_and_no_more(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        top = {member.name.split("/")[0] for member in tar.getmembers()}
    assert top <= KEPT | ALSO_SHIPPED
    assert top >= {"meta", "plugins", "LICENSE", "MANIFEST.json"}


def test_every_module_is_documented_with_everything_else_deleted(bare: Path) -> None:
    listed = ansible("ansible-doc", "-t", "module", "-l", COLLECTION, "--json", root=bare)
    assert listed.returncode == 0, listed.stderr
    names = {f"{COLLECTION}.{stem}" for stem in stems("modules")}
    assert set(json.loads(listed.stdout)) == names
    shown = ansible("ansible-doc", "-t", "module", "--json", *sorted(names), root=bare)
    assert shown.returncode == 0, shown.stderr
    docs = json.loads(shown.stdout)
    for name in sorted(names):
        assert docs[name]["doc"]["short_description"], name
        assert docs[name]["examples"], f"{name} has no examples"
        assert docs[name]["return"], f"{name} does not say what it returns"


def test_every_role_is_documented_with_everything_else_deleted(bare: Path) -> None:
    listed = ansible("ansible-doc", "-t", "role", "-l", COLLECTION, "--json", root=bare)
    assert listed.returncode == 0, listed.stderr
    assert set(json.loads(listed.stdout)) == {f"{COLLECTION}.{path.name}" for path in (REPO / "roles").iterdir()}


@pytest.mark.parametrize("playbook", sorted(path.stem for path in (REPO / "playbooks").glob("*.yml")) or ["chain_halt"])
def test_playbooks_are_found_by_full_name_with_everything_else_deleted(bare: Path, playbook: str) -> None:
    (bare / "validators").write_text("[validators]\nnode1\n", encoding="utf-8")
    done = ansible("ansible-playbook", "--syntax-check", "-i", "validators", f"{COLLECTION}.{playbook}", root=bare)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_plugin_imports_with_everything_else_deleted(bare: Path) -> None:
    names = sorted(
        f"{PACKAGE}.{path.relative_to(REPO).with_suffix('').as_posix().replace('/', '.')}"
        for path in PLUGINS.rglob("*.py")
        if path.stem != "__init__"
    )
    code = "import importlib, sys; sys.path.insert(0, sys.argv[1]); [importlib.import_module(n) for n in sys.argv[2:]]"
    # -B: the dependency is a link to the copy that all checkouts share.
    command = [sys.executable, "-I", "-B", "-c", code, str(bare), *names]
    done = subprocess.run(command, cwd=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_stay_short() -> None:
    long = {}
    for path in project_files():
        parts = set(path.relative_to(REPO).parts)
        if path.suffix in WRITTEN_BY_HAND and path.name not in NOT_BY_HAND and not parts & RECORDED:
            lines = path.read_text(encoding="utf-8").count("\n")
            if lines > MAX_LINES:
                long[str(path.relative_to(REPO))] = lines
    assert not long


def test_every_python_file_carries_the_licence() -> None:
    head = "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
    without = [
        str(path.relative_to(REPO))
        for path in project_files()
        if path.suffix == ".py" and path.stat().st_size and head not in path.read_text(encoding="utf-8")[:400]
    ]
    assert not without


@pytest.mark.parametrize("role", sorted(path.name for path in (REPO / "roles").iterdir()))
def test_defaults_are_what_the_argument_specs_say(role: str) -> None:
    """A default in a specification only documents; the value comes from ``defaults`` of the variable's own role."""
    defaults = {path.parent.parent.name: load(path) or {} for path in (REPO / "roles").glob("*/defaults/main.yml")}
    owners = sorted(defaults, key=len, reverse=True)
    documented: set[str] = set()
    for entry, spec in load(REPO / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"].items():
        for name, option in (spec.get("options") or {}).items():
            documented.add(name)
            owner = role if name in defaults.get(role, {}) else next((o for o in owners if name in defaults[o]), None)
            value = defaults[owner][name] if owner else None
            assert option.get("default") == value, f"{role}, entry point {entry}, {name}: the default is {value!r}"
            assert not (owner and option.get("required")), (
                f"{role}, entry point {entry}, {name}: required has a default"
            )
    assert set(defaults.get(role, {})) <= documented, "a default that no entry point documents"


@pytest.mark.parametrize("role", sorted(path.name for path in (REPO / "roles").iterdir()))
def test_every_entry_point_has_a_specification(role: str) -> None:
    """A role is entered by ``main``; what else it specifies exists."""
    specified = set(load(REPO / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"])
    files = {path.stem for path in (REPO / "roles" / role / "tasks").glob("*.yml")}
    assert specified <= files, "a specification of an entry point that does not exist"
    assert "main" in specified


@pytest.mark.parametrize("role", sorted(path.name for path in (REPO / "roles").iterdir()))
def test_the_readme_of_a_role_is_current(role: str) -> None:
    """``python3 -m tools.role_readmes`` writes it out of the argument specs."""
    assert (REPO / "roles" / role / "README.md").read_text(encoding="utf-8") == role_readmes.readme(role)


def test_the_action_group_is_complete() -> None:
    groups = load(REPO / "meta" / "runtime.yml")["action_groups"]
    assert set(groups["all"]) == stems("modules")
    assert groups["all"] == sorted(groups["all"])


def test_an_action_plugin_has_a_module_of_its_name() -> None:
    """The module carries the documentation, and its argument specification is what `ansible-doc` users see."""
    assert stems("action") <= stems("modules")


def pure_files() -> list[Path]:
    """All of ``plugin_utils`` but the folder that is the controller's own hands."""
    root = PLUGINS / "plugin_utils"
    return sorted(path for path in root.rglob("*.py") if not IMPURE & set(path.relative_to(root).with_suffix("").parts))


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: path.name)
def test_decisions_are_pure(path: Path) -> None:
    """Data in, data out: no file, network, clock, chance or Ansible, so that a saved bundle gives the same verdict."""
    own = f"{PACKAGE}.plugins.plugin_utils"
    for name in imported(path):
        if name.startswith(own):
            assert not IMPURE & set(name.removeprefix(own).split(".")), f"{path.name} imports {name}"
        else:
            assert name.split(".")[0] in PURE, f"{path.name} imports {name}"
    forbidden = IMPURE_CALLS | {f".{name}" for name in CLOCK_CALLS}
    assert not calls(path) & forbidden


# What the dependency has for modules: how to connect, with whichever library is on the host.
POSTGRESQL = "ansible_collections.community.postgresql.plugins.module_utils"


def host_files() -> list[Path]:
    return sorted([*(PLUGINS / "modules").glob("*.py"), *(PLUGINS / "module_utils").rglob("*.py")])


@pytest.mark.parametrize("path", host_files(), ids=lambda path: path.name)
def test_what_runs_on_hosts_needs_only_python_39(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 9))
    allowed = (f"{PACKAGE}.plugins.module_utils", "ansible.module_utils", POSTGRESQL)
    for name in imported(path):
        assert name.startswith(allowed) or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"
    if source.strip():
        assert "from __future__ import annotations" in source


# The rooms of the hosts' side, and which other rooms each may use: what is below it.
BELOW: dict[str, set[str]] = {
    "_host": set(),
    "_cometbft": {"_host"},
    "_logs": {"_host"},
    "_node": {"_host", "_cometbft", "_logs"},
    "_postgresql": {"_host"},
}
# Old logs are compressed only where the node is stopped, and beside what belongs to it.
UPWARDS = {"_logs/compress.py": {"_node"}}


def test_rooms_of_the_hosts_side_use_only_what_is_below_them() -> None:
    root = PLUGINS / "module_utils"
    own = f"{PACKAGE}.plugins.module_utils."
    upwards: dict[str, set[str]] = {}
    for path in root.rglob("*.py"):
        name, room = path.relative_to(root).as_posix(), path.relative_to(root).parts[0]
        used = imported(path)
        assert not {found for found in used if ".plugin_utils" in found}, name
        rooms = {found.removeprefix(own).split(".")[0] for found in used if found.startswith(own)}
        above = rooms - {room} - BELOW[room]
        if above:
            upwards[name] = above
    assert upwards == UPWARDS


def test_no_check_is_silenced() -> None:
    silent = {".py": ("# no" + "qa", "# type: " + "ignore"), ".yml": ("ignore_errors:", "failed_when: false", "noqa")}
    found = [
        f"{path.relative_to(REPO)}: {word}"
        for path in project_files()
        if not set(path.relative_to(REPO).parts) & RECORDED
        for word in silent.get(path.suffix, ())
        if word in path.read_text(encoding="utf-8")
    ]
    assert not found
    assert not list((REPO / "tests" / "sanity").glob("ignore-*"))


# The path, and what of it Ansible calls. No word of one incident may stand in it.
PATH_OF_ALL = (
    "plugins/plugin_utils/_path",
    "plugins/plugin_utils/_controller",
    "plugins/action/incident_*.py",
    "plugins/modules/incident_*.py",
    "playbooks/shared",
    "playbooks/callback_plugins",
    "roles/incident",
)
OF_ONE_INCIDENT = re.compile(
    r"(?i)chain|validator|voting|cometbft|consensus|quorum|database|postgres|slurm|kubernetes"
    r"|(?<![a-z])(?:blocks?|heights?|rpcs?|sentr(?:y|ies)|votes?)(?![a-z])"
)
# A record is a chain of hashes.
SAID_OF_A_RECORD = ("hash_chain", "hash chain", "hash-chained")
# What the documentation of modules and of the role takes for an example.
SAMPLES = (
    "chain_halt-chain_virtengine-1-20261130T171400Z",
    "chain_halt-0f3c9a1b2c3d4e5f",
    "chain_halt",
    "chain:virtengine-1",
    "chain virtengine-1",
    "postgresql:7412059318123098762",
    "{height: 4711, last_block_hash: 8B010233}",
    "THE CHAIN RUNS",
)
# Words that mean something else there: of the hash chain, of a drawing, of a report's parts, of Ansible.
MEANT_OTHERWISE = {
    "plugins/plugin_utils/_path/record/hash_chain.py": {"chain"},
    "plugins/plugin_utils/_path/render/chart.py": {"height"},
    "plugins/plugin_utils/_path/render/content.py": {"block", "blocks"},
    "plugins/plugin_utils/_path/render/html.py": {"block", "blocks"},
    "plugins/plugin_utils/_path/render/markdown.py": {"block", "blocks"},
    "roles/incident/tasks/main.yml": {"block"},
    "roles/incident/tasks/release.yml": {"block"},
}


def path_of_all() -> list[Path]:
    found = [path for pattern in PATH_OF_ALL for path in REPO.glob(pattern)]
    inside = [file for path in found for file in (path.rglob("*") if path.is_dir() else [path])]
    return sorted(file for file in inside if file.is_file() and file.suffix in WRITTEN_BY_HAND)


@pytest.mark.parametrize("path", path_of_all(), ids=lambda path: str(path.relative_to(REPO)))
def test_the_path_knows_no_incident(path: Path) -> None:
    name = path.relative_to(REPO).as_posix()
    text = path.read_text(encoding="utf-8")
    documented = name.startswith("plugins/modules/") or path.name in ("README.md", "argument_specs.yml")
    for phrase in SAID_OF_A_RECORD + (SAMPLES if documented else ()):
        text = text.replace(phrase, "")
    found = {word.lower() for word in OF_ONE_INCIDENT.findall(text)}
    assert not found - MEANT_OTHERWISE.get(name, set())


def test_no_exception_outlives_its_word() -> None:
    for name, words in MEANT_OTHERWISE.items():
        text = (REPO / name).read_text(encoding="utf-8").lower()
        assert all(word in text for word in words), name
    documented = "".join(path.read_text(encoding="utf-8") for path in path_of_all())
    assert not [phrase for phrase in SAMPLES if phrase not in documented]


# Which rooms of ``plugin_utils`` a room may import; the arrows run one way only.
FLOORS = {
    "_path": {"_path"},
    "_controller": {"_controller", "_path"},
    "_chain": {"_chain", "_path", "module_utils"},
    "_incidents": {"_incidents", "_chain", "_path"},
    "_actions": {"_actions", "_chain", "_path"},
}
# What may know the incidents: the steps of a run, and the filters that show a verdict without one.
KNOW_INCIDENTS = {"action", "filter"}


def rooms(names: t.Iterable[str]) -> set[str]:
    """The rooms that these imports are of: of ``plugin_utils`` its folders, else the folder of ``plugins``."""
    parts = [name.removeprefix(f"{PACKAGE}.plugins.").split(".") for name in names if name.startswith(PACKAGE)]
    return {part[1] if part[0] == "plugin_utils" else part[0] for part in parts}


@pytest.mark.parametrize("room", sorted(path.name for path in (PLUGINS / "plugin_utils").iterdir() if path.is_dir()))
def test_a_room_imports_what_is_below_it(room: str) -> None:
    wrong = {
        str(path.relative_to(PLUGINS)): sorted(above)
        for path in (PLUGINS / "plugin_utils" / room).rglob("*.py")
        if (above := rooms(imported(path)) - FLOORS[room])
    }
    assert not wrong


def test_only_steps_and_filters_know_the_incidents() -> None:
    others = [path for path in PLUGINS.iterdir() if path.name not in {*KNOW_INCIDENTS, "plugin_utils"}]
    files = [file for folder in (*others, REPO / "playbooks") for file in folder.rglob("*.py")]
    assert files
    assert not [str(file.relative_to(REPO)) for file in files if {"_incidents", "_actions"} & rooms(imported(file))]
