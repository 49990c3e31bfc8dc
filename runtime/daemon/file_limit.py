"""
The limit of file descriptors of a process.
"""

import resource
from contextlib import suppress

_MAX_DESCRIPTORS = 65_536  # beyond any need


def raise_limit() -> None:
    """Raise the limit of file descriptors as far as the system allows, at most to `_MAX_DESCRIPTORS`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < target:
        with suppress(ValueError, OSError):  # some systems report a higher limit than they accept
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
