"""The arrows between packages, the banned calls and the sizes: read from the source, not from good intentions."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

ARROWS: dict[str, set[str]] = {
    "market": set(),
    "eventlog": {"market"},
    "projections": {"market", "eventlog"},
    "exchanges": {"market", "eventlog"},
    "fills": {"market", "projections"},
    "analysis": {"market", "projections"},
    "agents": {"market", "eventlog", "analysis"},
    "runtime": {"market", "eventlog", "projections", "exchanges", "analysis", "agents"},
    "collector": {"market", "eventlog", "projections", "exchanges", "runtime"},
    "analyzer": {"market", "eventlog", "projections", "analysis", "agents", "runtime"},
    "replay": {"market", "eventlog", "projections", "fills", "analysis", "agents", "runtime"},
    "research": {"market", "eventlog", "runtime", "replay"},
    "cli": {
        "market", "eventlog", "projections", "exchanges", "analysis", "agents", "runtime", "replay",
        "research",
    },
    "agent_data_collector": {"market", "eventlog", "exchanges", "runtime", "collector", "cli"},
    "agent_analyzer": {"market", "eventlog", "runtime", "analyzer", "cli"},
    "simulators": {"market", "eventlog", "exchanges", "agents", "cli"},
}  # fmt: skip
"""
Who may know whom, of every file: each stands on what is named above it. The commands (`cli`) start a simulator as a
process of its own; a package's `__main__.py` runs the commands of the same name without importing them.
"""

PORT = ("exchanges.port", "exchanges.errors")
"""The collector knows an exchange by its port, and by what can go wrong with any venue."""
COMMANDS = {"cli", "agent_data_collector", "agent_analyzer"}
"""What a person types: they print, and hand the wall clock to everything else."""

CLOCKS = {"eventlog/clock.py", "simulators/exchange/clock.py"}
PASSWORDS = {"eventlog/server/embedded_server.py"}
"""Where a secret is made that nobody may guess."""
AMBIENT = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
MAX_FILES = 12


def sources() -> list[Path]:
    """Every file of the product and of its simulators."""
    found = [path for package in ARROWS for path in (ROOT / package).rglob("*.py")]
    return sorted([*found, *ROOT.glob("*.py")])


def name_of(path: Path) -> str:
    """A file as it is called here."""
    return path.relative_to(ROOT).as_posix()


def package_of(path: Path) -> str:
    """The row of the table that a file obeys."""
    return name_of(path).split("/")[0].removesuffix(".py")


def is_command(path: Path) -> bool:
    """Whether a person types it."""
    return path.name == "__main__.py" or package_of(path) in COMMANDS


FILES = [pytest.param(path, id=name_of(path)) for path in sources()]


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Every node of a file's tree."""
    return list(ast.walk(ast.parse(path.read_text())))


def imports_of(path: Path) -> Iterator[str]:
    """The modules a file imports, wherever in it."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called_names(path: Path) -> Iterator[tuple[int, str]]:
    """What a file names with at most one dot, with aliases of modules and functions undone."""
    real: dict[str, str] = {}
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            real |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            real |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in nodes_of(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = real.get(node.value.id, node.value.id).removeprefix("datetime.")
            yield node.lineno, f"{owner}.{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.lineno, real.get(node.id, node.id)


def test_the_files_are_found() -> None:
    """A test that reads nothing would pass."""
    names = {name_of(path) for path in sources()}
    assert {
        "market/fixed_point.py",
        "eventlog/__main__.py",
        "exchanges/binance/mapper.py",
        "agent_analyzer.py",
    } <= names


def test_every_package_has_a_row() -> None:
    """A folder of modules that the table does not name would obey nothing."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {path.stem for path in ROOT.glob("*.py")}
    assert packages - set(ARROWS) == {"tests", "bench"}


@pytest.mark.parametrize("path", FILES)
def test_arrows_between_packages(path: Path) -> None:
    """Nobody imports what stands above it: no package, no command, no `__main__.py`."""
    package = package_of(path)
    for module in imports_of(path):
        top = module.split(".")[0]
        if top not in ARROWS and top not in {"tests", "bench"}:
            continue
        assert ".__main__" not in module, f"{name_of(path)} imports an entry point: {module}"
        if top == package:
            continue
        assert top in ARROWS[package], f"{name_of(path)} imports {module}; {package} may import {ARROWS[package]}"
        if package == "collector" and top == "exchanges":
            assert module.startswith(PORT), f"{name_of(path)} imports {module}; the port is {PORT}"


def test_the_arrows_make_no_circle() -> None:
    """The table itself is a straight order: every package stands on rows above its own."""
    rows = list(ARROWS)
    for package, below in ARROWS.items():
        assert all(rows.index(other) < rows.index(package) for other in below), package


def test_wings_make_no_circle() -> None:
    """Of two folders neither of which lies in the other, at most one stands on the other, however many lie between."""
    stands_on = wings((path.parent, module) for path in sources() for module in imports_of(path))
    assert ROOT / "eventlog" / "disk" in stands_on[ROOT / "eventlog" / "store"]
    assert circle_in(stands_on) == []


def test_a_circle_of_wings_is_noticed() -> None:
    """Over two arrows or three; a folder and what lies in it may know each other."""
    disk, store, proof = (ROOT / "eventlog" / name for name in ("disk", "store", "proof"))
    straight = [(store, "eventlog.disk.files"), (proof, "eventlog.store.log"), (store.parent, "eventlog.store.log")]
    assert circle_in(wings([*straight, (store, "eventlog.errors.LogBroken"), (store, "json")])) == []
    assert set(circle_in(wings([*straight, (disk, "eventlog.store.writer.LogWriter")]))) == {disk, store}
    assert set(circle_in(wings([*straight, (disk, "eventlog.proof.check.check")]))) == {disk, store, proof}


def test_files_make_no_circle() -> None:
    """Imports inside functions and for types included."""
    stands_on: dict[Path, set[Path]] = {}
    for path in sources():
        places = {place_of(module) for module in imports_of(path)}
        stands_on[path] = {place for place in places if place is not None and place.suffix and place != path}
    assert ROOT / "eventlog" / "store" / "hot.py" in stands_on[ROOT / "eventlog" / "store" / "writer.py"]
    assert circle_in(stands_on) == []


def wings(imports: Iterable[tuple[Path, str]]) -> dict[Path, set[Path]]:
    """Which folders each folder stands on, from folders and the modules or names that files in them import."""
    stands_on: dict[Path, set[Path]] = {}
    for folder, module in imports:
        other = folder_of(module)
        if other is not None and not (inside(folder, other) or inside(other, folder)):
            stands_on.setdefault(folder, set()).add(other)
    return stands_on


def circle_in(stands_on: dict[Path, set[Path]]) -> list[Path]:
    """Folders or files that stand on each other in a circle, none where there is no circle."""
    try:
        TopologicalSorter(stands_on).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def folder_of(module: str) -> Path | None:
    """Where a module of ours lies, or the module that a name is of; None for those of others."""
    path = place_of(module)
    return path.parent if path is not None and path.suffix else path


def place_of(module: str) -> Path | None:
    """The file of a module of ours, or of the module that a name is of; the folder of a package; None for others'."""
    if module.split(".")[0] not in ARROWS:
        return None
    path = ROOT.joinpath(*module.split("."))
    while not path.with_suffix(".py").exists() and not path.is_dir():
        path = path.parent
    return path if path.is_dir() else path.with_suffix(".py")


def inside(folder: Path, other: Path) -> bool:
    """Whether a folder is another one, or lies in it; those at the root lie in nothing."""
    return other != ROOT and folder.is_relative_to(other)


@pytest.mark.parametrize("path", FILES)
def test_nobody_reads_the_wall_clock(path: Path) -> None:
    """Time is stamped by a clock that is handed over; `time.monotonic` is for waiting."""
    if is_command(path) or name_of(path) in CLOCKS:
        return
    found = [f"line {line}: {name}" for line, name in called_names(path) if name in AMBIENT]
    assert found == []


@pytest.mark.parametrize("path", FILES)
def test_nothing_is_left_to_chance(path: Path) -> None:
    """Ids come from content or seq; random numbers from a generator that is passed in and seeded."""
    banned = {"uuid.uuid4", "uuid.uuid1", "os.urandom", "random.random", "random.seed", "np.random.seed"}
    found = [f"line {line}: {name}" for line, name in called_names(path) if name in banned]
    assert found == []
    if name_of(path) in PASSWORDS:
        return
    assert not {"random", "secrets", "uuid"} & {module.split(".")[0] for module in imports_of(path)}


@pytest.mark.parametrize("path", FILES)
def test_only_commands_print(path: Path) -> None:
    """Everything else returns, raises or logs."""
    if is_command(path):
        return
    calls = [node for node in nodes_of(path) if isinstance(node, ast.Call)]
    found = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert found == []


@pytest.mark.parametrize("path", FILES)
def test_files_and_functions_stay_small(path: Path) -> None:
    """A file ends at 400 lines, a function at 60."""
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    functions = [n for n in nodes_of(path) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_folders_stay_small() -> None:
    """At most a dozen files of code each: more are two folders."""
    counts = Counter(path.parent for path in sources() if path.name != "__init__.py")
    assert {name_of(folder): count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    """No utils, no common, no helpers, in the product or in its tests."""
    names = {path.stem for path in [*sources(), *(ROOT / "tests").rglob("*.py")]}
    names |= {folder.name for folder in ROOT.iterdir() if folder.is_dir()}
    assert not names & {"utils", "util", "common", "helpers", "misc"}
