"""
The decorator of compiled loops. The compiler is loaded when the first of them is called: most commands call none, and
loading it takes longer than they do.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any


class Compiled:
    """
    A function that runs as machine code from its first call on, from Python and from other such functions.

    Args:
        function: what numba can compile: numbers and arrays, other compiled functions, constants of its module.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.py_func = function
        self._dispatcher: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function."""
        return (self._dispatcher or self.dispatcher)(*arguments)

    @property
    def dispatcher(self) -> Any:
        """Numba's dispatcher of the function, built at its first use."""
        if self._dispatcher is None:
            from market.compiler import build_dispatcher

            self._dispatcher = build_dispatcher(self.py_func)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """The type that numba gives it inside another compiled function."""
        return self.dispatcher._numba_type_


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function to machine code at its first call with arguments of the same types."""
    return Compiled(function)


def load_compiler() -> None:
    """Load the compiler now, not at the first call: a daemon must not wait for it when the first trade comes."""
    import market.compiler  # noqa: F401
