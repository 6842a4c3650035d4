"""Does the code keep its shape? The rules of the design, read from the source."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("russula", "pytest_netbench") for path in (ROOT / package).rglob("*.py"))

ON_HOSTS = (
    "pytest_netbench.worker",
    "pytest_netbench.hosts.holder",
    "pytest_netbench.hosts.aws.onhost",
    "pytest_netbench.hosts.aws.facts",
    "pytest_netbench.drivers.builtin.__main__",
    "pytest_netbench.drivers.adapter.__main__",
    "pytest_netbench.drivers.launcher",
    "russula.worker",
)
"""Entry points of code that runs on a host."""

PURE = (
    "russula/protocol.py",
    "russula/machine.py",
    "russula/messages.py",
    "russula/codec.py",
    "pytest_netbench/protocols.py",
)

FLOORS = (
    ("errors", "roles", "units"),
    ("protocols", "scenario"),
    ("telemetry",),
    ("drivers",),
    ("playing", "result", "worker"),
    ("hosts",),
    ("gate", "testing"),
    ("report", "run", "settings"),
    ("ab",),
    ("session",),
    ("cli", "plugin"),
)
"""The parts of the plugin, from the ground up; parts of one floor know nothing of each other."""
MAY_LOOK_UP = {
    ("telemetry.gather", "drivers"): "a row says how its output is read",
    ("result.result", "gate"): "no_regression() does what the gate is told to, and fails in its words",
    ("hosts.aws.api", "testing"): "a guard keeps what tests start from the real AWS",
    ("hosts.aws.provider", "testing"): "--netbench-aws-emulate",
}
"""Imports that go up all the same, and why."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.AST, *, lazily: bool) -> Iterator[str]:
    """The modules that a file imports when it is loaded; with ``lazily``, also those inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif lazily or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _imports(node, lazily=lazily)


TREES = {_name(path): ast.parse(path.read_text()) for path in SOURCES}


def _reached(start: str, *, lazily: bool = False) -> set[str]:
    """Every module of ours that loading one brings in, the packages above it included; ``lazily``, also later."""
    reached: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in reached or name not in TREES:
            continue
        reached.add(name)
        todo += ["pytest_netbench" if name.startswith("pytest_netbench.") else "russula"]
        todo += _imports(TREES[name], lazily=lazily)
    return reached


@pytest.mark.parametrize("entry", ON_HOSTS)
def test_code_on_hosts_imports_only_the_standard_library(entry: str) -> None:
    """Whatever an entry point on a host brings in is ours or the standard library's."""
    assert entry in TREES
    foreign = {
        f"{name} imports {found}"
        for name in _reached(entry)
        for found in _imports(TREES[name], lazily=False)
        if found.split(".")[0] not in sys.stdlib_module_names | {"russula", "pytest_netbench"}
    }
    assert not foreign


@pytest.mark.parametrize("path", PURE)
def test_pure_files_know_no_clock_loop_or_socket(path: str) -> None:
    """Rules and parsing import neither asyncio nor time nor socket."""
    tree = ast.parse((ROOT / path).read_text())
    assert not {"asyncio", "time", "socket"} & set(_imports(tree, lazily=True))


def test_russula_knows_nothing_of_benchmarks() -> None:
    """The coordination library imports nothing of the plugin's, nor pytest."""
    for name, tree in TREES.items():
        if name.split(".")[0] == "russula":
            assert not [
                one for one in _imports(tree, lazily=True) if re.match(r"(pytest_netbench|pytest|boto3)\b", one)
            ], name


def test_imports_go_down() -> None:
    """No part knows one that stands above it, or beside it, but where there is a reason; none is out of date."""
    floor = {part: number for number, parts in enumerate(FLOORS) for part in parts}
    home = {name: name.split(".")[1] for name in TREES if name.startswith("pytest_netbench.")}
    assert set(home.values()) == set(floor)
    found = {
        (name.removeprefix("pytest_netbench."), home[one])
        for name, part in home.items()
        for one in _imports(TREES[name], lazily=True)
        if one in home and home[one] != part and floor[home[one]] >= floor[part]
    }
    assert found == set(MAY_LOOK_UP)


def test_cryptography_is_imported_in_two_places_only() -> None:
    """Keys and certificates are made by the coordinator, lazily."""
    users = {
        name
        for name, tree in TREES.items()
        if any(one.split(".")[0] == "cryptography" for one in _imports(tree, lazily=True))
    }
    assert users <= {"russula.credentials", "pytest_netbench.scenario.certificates"}
    assert not {name for name, tree in TREES.items() if "cryptography" in " ".join(_imports(tree, lazily=False))}


def test_boto3_is_imported_in_one_place_and_lazily() -> None:
    """By whoever speaks with AWS; the emulation's own clients are its users'."""
    users = {
        name
        for name, tree in TREES.items()
        if {one.split(".")[0] for one in _imports(tree, lazily=True)} & {"boto3", "botocore"}
    }
    assert users <= {"pytest_netbench.hosts.aws.api", "pytest_netbench.testing.aws.emulation"}
    assert not {name for name, tree in TREES.items() if "boto" in " ".join(_imports(tree, lazily=False))}


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_is_short_and_says_which_question_it_answers(path: Path) -> None:
    """At most 400 lines, beginning with a docstring; no function above 60 lines."""
    text, tree = path.read_text(), TREES[_name(path)]
    assert text.count("\n") <= 400
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_nothing_is_evaluated_unpickled_or_given_to_a_shell(path: Path) -> None:
    """Nothing received can become code."""
    for node in ast.walk(TREES[_name(path)]):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {
                "eval",
                "exec",
                "os.system",
                "os.popen",
                "pickle.loads",
                "pickle.load",
                "marshal.loads",
            }
            assert not any(
                keyword.arg == "shell" and ast.unparse(keyword.value) != "False" for keyword in node.keywords
            )


BEGINS_CODE = re.compile(
    r"(importlib\.)?import_module|__import__|compile|runpy\..*|subprocess\..*|pickle\..*|marshal\..*|shelve\..*|ctypes\.CDLL"
    r"|(asyncio|loop)\.create_subprocess_.*|(loop\.)?subprocess_(exec|shell)|os\.(exec|spawn|posix_spawn|fork|popen|system).*"
)
"""Calls by which a text could become a module, or a program."""
MAY_BEGIN_CODE = {
    ("russula", "import_module"): "the home of a public name, from a table beside it",
    ("pytest_netbench", "import_module"): "the home of a public name, from a table beside it",
    (
        "pytest_netbench.hosts.holder",
        "import_module",
    ): "its worker, which its command line names: it listens to nobody yet",
    ("pytest_netbench.hosts.holder", "os.fork"): "a copy of itself is a worker",
    ("pytest_netbench.hosts.holder", "ctypes.CDLL"): "the C library",
    ("pytest_netbench.hosts.namespace", "subprocess.run"): "a command without a variable in it",
    ("pytest_netbench.drivers.process", "subprocess.Popen"): "a driver of the table that the worker got at its start",
    ("pytest_netbench.drivers.builtin.pool", "os.fork"): "a copy of a driver is another process of it",
    ("pytest_netbench.drivers.builtin.pool", "ctypes.CDLL"): "the C library",
    ("pytest_netbench.drivers.process", "ctypes.CDLL"): "the C library",
    ("pytest_netbench.drivers.launcher", "os.execv"): "the same driver, at the instant",
    ("pytest_netbench.telemetry.host", "ctypes.CDLL"): "the C library",
    ("pytest_netbench.drivers.adapter.children", "subprocess.Popen"): "the commands of that driver's row",
    ("pytest_netbench.drivers.adapter.children", "ctypes.CDLL"): "the C library",
    ("pytest_netbench.drivers.adapter.container", "os.fork"): "a copy of itself mounts the folders of one",
    ("pytest_netbench.drivers.adapter.container", "ctypes.CDLL"): "the C library",
    ("pytest_netbench.hosts.aws.facts", "subprocess.run"): "a command without a variable in it",
    (
        "pytest_netbench.hosts.aws.onhost",
        "subprocess.run",
    ): "the worker itself, and commands that name its run",
}
"""Where on a host that is right, and why: nothing of it comes from a coordinator."""


def test_on_a_host_only_named_places_import_or_start_what_a_variable_names() -> None:
    """Everything that a worker may ever load, looked through; each exception has its reason, none is out of date."""
    loaded = set().union(*(_reached(entry, lazily=True) for entry in ON_HOSTS))
    found = {
        (name, ast.unparse(node.func))
        for name in loaded
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and BEGINS_CODE.fullmatch(ast.unparse(node.func))
    }
    assert found == set(MAY_BEGIN_CODE)


def test_what_receives_begins_no_code_at_all() -> None:
    """Beyond the table of its public names, nothing of russula's worker imports or starts anything."""
    assert {name for name, _ in MAY_BEGIN_CODE if name.split(".")[0] == "russula"} == {"russula"}
