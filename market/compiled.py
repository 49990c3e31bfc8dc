"""
The decorator of loops that are compiled. The compiler is loaded when the first of them is called: most commands call
none, and loading it takes longer than they do.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any


class Compiled:
    """
    A function that is machine code from its first call on, for Python and for other such functions.

    Args:
        function: what numba can compile: numbers and arrays, other compiled functions, constants of its module.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.py_func = function
        self._dispatcher: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        return (self._dispatcher or self.dispatcher)(*arguments)

    @property
    def dispatcher(self) -> Any:
        """Numba's own object for it."""
        if self._dispatcher is None:
            from market.compiler import build_dispatcher

            self._dispatcher = build_dispatcher(self.py_func)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """What numba takes it for inside another compiled function."""
        return self.dispatcher._numba_type_


def compiled(function: Callable[..., Any]) -> Any:
    """The function as machine code, compiled at its first call with arguments of such types."""
    return Compiled(function)


def load_compiler() -> None:
    """Load the compiler now, not at the first call: a daemon is not to wait for it when the first trade comes."""
    import market.compiler  # noqa: F401
