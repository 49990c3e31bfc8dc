"""
File descriptors of a process that keeps many files and sockets open.
"""

import resource
from contextlib import suppress

_ENOUGH = 65_536


def raise_limit() -> None:
    """Allow this process as many descriptors as the system lets it, up to a number beyond any need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems promise more than they give
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
