"""
The proxy of a request, from environment variables or one setting. Pure.

Source: curl's manual page and libcurl's environment variables (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from urllib.parse import urlsplit

from runtime.settings.addresses import check_proxy_address, ip_of, is_loopback

_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_DEFAULT_PORTS = {"http": 80, "https": 443}  # where an address names none
_WITHOUT_SCHEME = re.compile(r"[^/]+:[0-9]+/?")


@dataclass(frozen=True, slots=True)
class Proxies:
    """
    The proxies of one process. Their fields are excluded from repr and comparison: they hold passwords, and are no part
    of the settings file.

    Attributes:
        by_scheme: the proxy's address for http and for https. exempt: entries of NO_PROXY.
    """

    by_scheme: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    exempt: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of_environment(cls, variables: Mapping[str, str]) -> "Proxies":
        """
        Read the environment: of each variable the lower-case spelling counts first, an empty one is no proxy.

        Raises:
            ValueError: a variable that would be used names no HTTP proxy; the reason begins with the variable.
        """
        by_scheme = {}
        for scheme in ("http", "https"):
            name = _find_variable(variables, f"{scheme}_proxy", "all_proxy")
            if name is not None and variables[name].strip():
                by_scheme[scheme] = _check_variable(name, variables[name])
        name = _find_variable(variables, "no_proxy")
        return cls(by_scheme, tuple(re.split(r"[\s,]+", variables[name].strip())) if name is not None else ())

    @classmethod
    def of_setting(cls, address: str | None) -> "Proxies":
        """One proxy for every host but this machine; none where the address is None."""
        return cls({} if address is None else {"http": address, "https": address})

    def proxy_for(self, url: str) -> str | None:
        """The proxy for a request to an http, https, ws or wss address; None for a direct connection."""
        target = urlsplit(url)
        host, scheme = target.hostname, _SCHEMES.get(target.scheme)
        if scheme is None or not host or is_loopback(host):
            return None
        port = target.port or _DEFAULT_PORTS[scheme]
        if any(_matches(entry.lower(), host.rstrip("."), port) for entry in self.exempt):
            return None
        return self.by_scheme.get(scheme)


def _find_variable(variables: Mapping[str, str], *names: str) -> str | None:
    return next((n for name in names for n in (name, name.upper()) if n in variables), None)


def _check_variable(name: str, value: str) -> str:
    value = value.strip()
    try:
        return check_proxy_address(f"http://{value}" if _WITHOUT_SCHEME.fullmatch(value) else value)
    except ValueError as error:
        raise ValueError(f"{name} in the environment: {error}; or set network.proxy, `none` for no proxy") from None


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether an entry names a host: *, a domain and all below it, an IP address or network; a port must match too."""
    if entry == "*":
        return True
    name, number = _split_port(entry)
    if number is not None and number != port:
        return False
    address = ip_of(host)
    if address is None:
        domain = name.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False


def _split_port(entry: str) -> tuple[str, int | None]:
    """An entry's host without brackets, and its port where it has one."""
    match = re.fullmatch(r"\[([^\]]*)\](?::([0-9]{1,5}))?", entry)
    if match is not None:
        return match[1], int(match[2]) if match[2] else None
    name, colon, number = entry.rpartition(":")
    if colon and ":" not in name and number.isascii() and number.isdigit() and len(number) <= 5:
        return name, int(number)
    return entry, None
