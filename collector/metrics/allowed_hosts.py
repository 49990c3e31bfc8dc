"""
Which Host headers an HTTP endpoint of this machine answers; pure.

Against DNS rebinding: a page in a browser can have its own host name lead to this machine, but it cannot make the
browser send another name than that one.
"""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@/\\?#,]+)(?::[0-9]{0,5})?")
_LOOPBACK = "localhost"


def host_name(host: str) -> str | None:
    """
    Normalise a host of a header or of settings: lower case, no port, no brackets; None where it is no host.

    >>> host_name("LocalHost:9000"), host_name("[::1]:80"), host_name("a b")
    ('localhost', '::1', None)
    """
    match = _HOST.fullmatch(host)
    if match is None or match[1].startswith("["):
        try:
            return str(IPv6Address(match[1][1:-1] if match is not None else host))
        except ValueError:
            return None
    return match[1].lower().removesuffix(".") or None


def is_allowed_host(header: str, names: Collection[str]) -> bool:
    """
    Whether a Host header names loopback (localhost, 127.0.0.0/8, [::1]) or one of some names, whatever its port.

    Args:
        header: value of the Host header.
        names: further hosts, as `host_name` returns them.
    """
    name = host_name(header) if _HOST.fullmatch(header) else None
    if name is None:
        return False
    return name == _LOOPBACK or name in names or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    for address in (IPv4Address, IPv6Address):
        try:
            return address(name).is_loopback
        except ValueError:
            continue
    return False
