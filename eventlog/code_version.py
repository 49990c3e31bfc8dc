"""
Digests of the running code: of the product's source files, whether or not they lie in a checkout, and of the lock file.
"""

from functools import cache
from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_DECIDING = ("market", "eventlog", "exchanges", "projections", "fills", "analysis", "agents", "runtime", "replay")


@cache
def code_digest() -> str:
    """The digest, 16 hex digits, of every source file that can change a fold, an analysis or a score."""
    digest = blake2b(digest_size=8)
    for package in _DECIDING:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def lock_digest() -> str:
    """The digest, 16 hex digits, of the locked dependencies; "none" where the lock file is not installed."""
    lock = ROOT / "requirements.lock"
    return blake2b(lock.read_bytes(), digest_size=8).hexdigest() if lock.exists() else "none"
