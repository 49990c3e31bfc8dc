"""
File descriptors of a process that keeps many files and sockets open.
"""

import resource
from contextlib import suppress

_MAX_DESCRIPTORS = 65_536


def raise_limit() -> None:
    """Allow this process as many descriptors as the system lets it, up to a number beyond any need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < target:
        with suppress(ValueError, OSError):  # some systems promise more than they give
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
