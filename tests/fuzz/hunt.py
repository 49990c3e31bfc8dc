"""Fuzzes one target in this process under libFuzzer's own options: `python -m tests.fuzz.hunt TARGET [option …]`."""

import os
import sys
import traceback
from hashlib import sha1
from pathlib import Path

_FOUND = 77


def hunt() -> None:
    """Go on until something is found or the time is up; the process ends with it."""
    import atheris  # an optional tool

    with atheris.instrument_imports(include=["exchanges", "tests.fuzz"]):  # what numba compiles cannot be
        from tests.fuzz.targets import TARGETS
    name = sys.argv.pop(1)

    def one(data: bytes) -> None:
        try:
            told = "; ".join(TARGETS[name](data)[:3])
        except Exception:
            told = traceback.format_exc()
        if told:  # ended here and now: unwinding with threads of pyarrow alive may hang
            path = Path(f"crash-{name}-{sha1(data).hexdigest()}")
            path.write_bytes(data)
            sys.stderr.write(f"{told}\n{path}\n")
            sys.stderr.flush()
            os._exit(_FOUND)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    hunt()
