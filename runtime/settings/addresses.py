"""
Checks of network addresses in settings: hosts, web addresses, Redis servers and proxies.

Every check is pure and raises ValueError with a reason that quotes nothing: an address may hold a password.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, parse_qsl, unquote_to_bytes, urlsplit

_VISIBLE = re.compile(r"[!-~]*")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(:[0-9]{1,5})?")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)

_MAX_LETTERS = 2_000  # no address in use is longer
_MAX_DATABASE = 65_535  # servers accept far fewer: this bounds the digits
_REDIS_QUERY = {"db", "protocol"}
_SOCKET_QUERY = _REDIS_QUERY | {"username", "password"}
_TLS_QUERY = _REDIS_QUERY | {"ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"}

_NO_REDIS = "must be an address like redis://host:6379/0, rediss://host:6379/0 or unix:///run/redis.sock"
_NO_PROXY = "must be an address like http://host:3128 or http://user:password@host:3128"
_ESCAPES = "in a password, write @ : / ? # % and spaces as %40 %3A %2F %3F %23 %25 %20"


def check_web_address(text: str, schemes: Sequence[str], example: str) -> SplitResult:
    """
    Check a web address and return its parts; it must have no user, password, query or fragment.

    Args:
        text: the address; blanks around it do not count.
        schemes: those that are allowed, e.g. https and http.
        example: a valid address, for the reason.
    """
    text = text.strip()
    if not _VISIBLE.fullmatch(text):
        raise ValueError(
            "contains a space, or a hidden or non-ASCII character; retype it, such a name in its xn-- form"
        )
    url = _parts(text)
    if url is None or url.scheme not in schemes or not _is_host_and_port(url):
        raise ValueError(f"must be an address like {example}")
    if "@" in url.netloc or "?" in text or "#" in text:
        raise ValueError("must hold no user, password, query or fragment")
    return url


def check_redis_address(text: str) -> str:
    """Check the address of a Redis server (redis://, rediss:// or unix://); returns it without blanks around it."""
    text = text.strip()
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError(f"contains a space or a hidden character; {_ESCAPES}")
    url = _parts(text)
    if url is None or url.scheme not in ("redis", "rediss", "unix") or not text.startswith(f"{url.scheme}://"):
        raise ValueError(f"{_NO_REDIS}; {_ESCAPES}")
    if "#" in text:
        raise ValueError(f"contains a #; {_ESCAPES}")
    if url.scheme == "unix":
        _expect_socket(url)
    else:
        _expect_database(url)
    _expect_query(url, {"redis": _REDIS_QUERY, "rediss": _TLS_QUERY, "unix": _SOCKET_QUERY}[url.scheme])
    return text


def check_proxy_address(text: str) -> str:
    """Check the address of an HTTP proxy (http:// or https://), with or without user and password; returns it."""
    text = text.strip()
    if not _VISIBLE.fullmatch(text):
        raise ValueError(f"contains a space, or a hidden or non-ASCII character; {_ESCAPES}")
    url = _parts(text)
    if url is not None and url.scheme.startswith("socks"):
        raise ValueError("SOCKS proxies are not supported; name an HTTP proxy, like http://host:3128")
    if url is None or url.scheme not in ("http", "https") or not _is_host_and_port(url) or url.path.rstrip("/"):
        raise ValueError(f"{_NO_PROXY}; {_ESCAPES}")
    if "?" in text or "#" in text or (url.username is None) != (url.password is None) or not _is_text(url):
        raise ValueError(f"{_NO_PROXY}; {_ESCAPES}")
    return text.rstrip("/")


def check_host(text: str) -> str:
    """Check a host name or IP address without port; returns an IPv6 address without brackets, and no blanks around."""
    text = text.strip()
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not is_host(bare) or (bare != text and ":" not in bare):
        raise ValueError("must be a host name or an IP address alone, without a scheme or a port")
    return bare


def is_host(text: str) -> bool:
    """Whether a text is a host name that a resolver could look up, or an IP address."""
    try:
        return ip_address(text) is not None and "%" not in text
    except ValueError:
        last = text.rstrip(".").rpartition(".")[2]
        return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None and not last.isdigit()


def is_loopback(host: str) -> bool:
    """Whether a host, as `is_host` takes it, is this machine."""
    address = ip_of(host)
    return host.lower().rstrip(".") == "localhost" if address is None else address.is_loopback


def is_private(host: str) -> bool:
    """Whether a host is this machine or an address of a private network; a name other than localhost is not."""
    address = ip_of(host)
    return is_loopback(host) or (address is not None and any(address in network for network in _PRIVATE))


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a host is, an IPv4 address inside an IPv6 one as itself; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _parts(text: str) -> SplitResult | None:
    """The parts of an address whose port is one; None where it has no parts."""
    try:
        url = urlsplit(text)
        return url if url.port != 0 and len(text) <= _MAX_LETTERS else None
    except ValueError:
        return None


def _is_host_and_port(url: SplitResult) -> bool:
    """Whether host and port behind `//` are what they claim: brackets around IPv6 alone."""
    host_and_port = url.netloc.rpartition("@")[2]
    if _HOST_AND_PORT.fullmatch(host_and_port) is None or not url.hostname:
        return False
    address = ip_of(url.hostname)
    if address is None:
        return is_host(url.hostname) and "[" not in host_and_port
    return is_host(url.hostname) and (":" in url.hostname) == ("[" in host_and_port)


def _is_text(url: SplitResult) -> bool:
    """Whether user and password are UTF-8 once unescaped, and there is a user or a password where there is an @."""
    try:
        unquote_to_bytes(f"{url.username}{url.password}").decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(url.username or url.password) or "@" not in url.netloc


def _expect_socket(url: SplitResult) -> None:
    if url.netloc.rpartition("@")[2] or not url.path.startswith("/") or "%00" in url.path:
        raise ValueError("unix:// is followed by the absolute path of a socket, like unix:///run/redis.sock")


def _expect_database(url: SplitResult) -> None:
    if not _is_host_and_port(url):
        raise ValueError(f"{_NO_REDIS}; {_ESCAPES}")
    number = url.path.removeprefix("/")
    if number and not _is_database(number):
        raise ValueError("has no database number after the host; write one there, like redis://host:6379/0")


def _is_database(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _MAX_DATABASE


def _expect_query(url: SplitResult, names: set[str]) -> None:
    pairs = parse_qsl(url.query, keep_blank_values=True)
    if any(name not in names or not value for name, value in pairs) or len(dict(pairs)) < len(pairs):
        raise ValueError(f"has query parameters other than {', '.join(sorted(names))}, or one given twice; {_ESCAPES}")
    query = dict(pairs)
    if not _is_database(query.get("db", "0")) or query.get("protocol", "3") not in ("2", "3"):
        raise ValueError("has a query in which db is not a database number or protocol is neither 2 nor 3")
    if query.get("ssl_cert_reqs", "required") not in ("none", "optional", "required"):
        raise ValueError("has a query in which ssl_cert_reqs is not none, optional or required")
