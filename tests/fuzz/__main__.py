"""
`python -m tests.fuzz [target …] [--seconds N]`: looks for inputs that break a reader; needs atheris (`make fuzz`).

What it finds lies in the working folder as crash-* or timeout-*; `--replay FILE` runs one such input again.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import LARGEST, TARGETS

CORPUS = Path(__file__).parent / "corpus"
_HANG_S = 5


def main() -> int:
    """Each target in a process of its own, one after the other; 1 where one found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what reads the venue's bytes.")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--replay", type=Path, help="an input to run once, of the target named")
    told = parser.parse_args()
    unknown = set(told.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; targets: {', '.join(TARGETS)}")
    if told.replay is not None:
        wrongs = TARGETS[told.targets[0]](told.replay.read_bytes())
        print("\n".join(wrongs) or "nothing is wrong with it")
        return int(bool(wrongs))
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (Linux, Python 3.11): .venv/bin/python -m pip install atheris")
        return 1
    return max(_hunt(name, told.seconds) for name in told.targets)


def _hunt(name: str, seconds: int) -> int:
    """New inputs go to a folder that is thrown away; the corpus grows by hand."""
    with tempfile.TemporaryDirectory() as fresh:
        options = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-timeout={_HANG_S}", "-print_final_stats=1"]
        command = [sys.executable, "-m", "tests.fuzz.hunt", name, *options, fresh, str(CORPUS / name)]
        found = subprocess.run(command, check=False).returncode
    print(
        f"{name}: " + (f"something was found; python -m tests.fuzz {name} --replay FILE" if found else "nothing found")
    )
    return int(found != 0)


if __name__ == "__main__":
    raise SystemExit(main())
