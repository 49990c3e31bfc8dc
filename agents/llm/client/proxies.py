"""
Whether requests to an endpoint may go through a proxy: it must never see the key.
"""

from urllib.parse import urlsplit

from agents.llm.client.errors import BadProxy
from agents.llm.wire.complaints import is_loopback

NO_PROXY = "the proxy is no address of one; write it like http://proxy.example:8080 or http://user:password@host:8080"
"""The message about an invalid address; it does not repeat it, since a password may be in it."""


def proxy_for_endpoint(base_url: str, proxy: str | None) -> str | None:
    """
    The proxy's address where requests to an endpoint go through it; None for a direct connection: without a proxy, and
    to a plain http endpoint of this machine.

    Args:
        base_url: the endpoint's address. proxy: the proxy's http(s) address, or None.

    Raises:
        BadProxy: the proxy is no http(s) address, or the endpoint is on plain http elsewhere.
    """
    if proxy is None:
        return None
    try:
        url, port = urlsplit(proxy), urlsplit(proxy).port
    except ValueError:
        raise BadProxy(NO_PROXY) from None
    bare = not (url.query or url.fragment) and url.path in ("", "/")
    if url.scheme not in ("http", "https") or not url.hostname or port == 0 or not bare or not proxy.isprintable():
        raise BadProxy(NO_PROXY)
    endpoint = urlsplit(base_url)
    if endpoint.scheme == "https":
        return proxy
    if is_loopback(endpoint.hostname or ""):
        return None
    raise BadProxy("the endpoint is on plain http: a proxy would see the key; write https into its address")
