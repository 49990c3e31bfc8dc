"""
Compiles loops to machine code, which is cached on disk and used again only where nothing it was built from has changed.

numba compares the file of the function itself. A constant or a function of another file is compiled into it just as
well: without a check of those, an update that changes one of them alone would leave old figures.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
from numba.core import config
from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator

_CONFIG: Any = config  # its names are made at run time
_CONSTANT_TYPES = (bool, int, float, str, bytes, tuple, np.generic)
"""Values of a module that are compiled into its functions as constants."""


def build_dispatcher(function: Callable[..., Any]) -> Any:
    """Build what compiles a function at its first call with arguments of some types, or loads it from the cache."""
    previous = _CONFIG.CACHE_LOCATOR_CLASSES
    _CONFIG.CACHE_LOCATOR_CLASSES = ",".join(f"{__name__}.{locator.__name__}" for locator in _LOCATORS)
    try:
        return nb.njit(cache=True)(function)
    finally:
        _CONFIG.CACHE_LOCATOR_CLASSES = previous


def digest_dependencies(names: dict[str, Any]) -> str:
    """
    A digest of what the functions of a module may contain of other modules.

    Args:
        names: the module's, once all of it is defined.
    """
    digest = hashlib.sha256()
    for name, value in sorted(names.items()):
        if name.startswith("__"):
            continue
        if isinstance(value, _CONSTANT_TYPES):
            digest.update(f"{name}={value!r}\n".encode())
        elif (function := getattr(value, "py_func", None)) is not None and function.__module__ != names["__name__"]:
            digest.update(f"{name}={function.__qualname__} {_digest_module(function.__module__)}\n".encode())
        elif isinstance(value, np.ndarray):
            digest.update(f"{name}={value.dtype}{value.shape}{value.tobytes()!r}\n".encode())
    return digest.hexdigest()


@cache
def _digest_module(module: str) -> str:
    """A digest of another module's source and of its dependencies: once loaded, it stays as it is."""
    names = vars(sys.modules[module])
    return f"{hashlib.sha256(Path(names['__file__']).read_bytes()).hexdigest()} {digest_dependencies(names)}"


class _DependencyStamp:
    """Adds the digest of dependencies to numba's own stamp of a function's file."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)  # type: ignore[call-arg]
        self._dependencies = digest_dependencies(py_func.__globals__)

    def get_source_stamp(self) -> tuple[Any, str]:
        """The stamp; any difference has the function compiled again."""
        return super().get_source_stamp(), self._dependencies  # type: ignore[misc]


class _ProvidedLocator(_DependencyStamp, UserProvidedCacheLocator):
    """The cache in the folder of NUMBA_CACHE_DIR."""


class _InTreeLocator(_DependencyStamp, InTreeCacheLocator):
    """The cache beside the source."""


class _UserLocator(_DependencyStamp, UserWideCacheLocator):
    """The user's own cache, where the source's folder may not be written."""


_LOCATORS = (_ProvidedLocator, _InTreeLocator, _UserLocator)
