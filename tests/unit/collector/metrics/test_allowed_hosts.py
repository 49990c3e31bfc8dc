"""Which Host headers are answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.metrics.allowed_hosts import host_name, is_allowed_host


@pytest.mark.parametrize(
    "header",
    [
        "localhost", "LocalHost", "localhost.", "localhost:9108", "localhost:", "127.0.0.1", "127.0.0.1:80",
        "127.9.8.7", "[::1]", "[::1]:9108", "[0:0:0:0:0:0:0:1]:1",
    ],
)  # fmt: skip
def test_loopback_is_answered(header: str) -> None:
    """By name and by address, whatever the port and the spelling."""
    assert is_allowed_host(header, ())


@pytest.mark.parametrize(
    "header",
    [
        "", ":", ":80", ".", "evil.example", "evil.example:9108", "localhost.evil.example", "127.0.0.1.evil.example",
        "notlocalhost", "128.0.0.1", "0.0.0.0", "127.1", "2130706433", "0x7f.0.0.1", "127.0.0.01", "192.168.0.1", "::1",
        "::1:80", "[::1", "::1]", "[::2]", "[::ffff:127.0.0.1]x", "[localhost]", "localhost:80:80", "localhost:port",
        "evil@localhost", "localhost@evil", "localhost/evil", "evil/localhost", "localhost evil", " localhost",
        "localhost,evil", "localhost#", "localhost?", "localhost\\", "localhost\n", "\u0661\u0662\u0667.0.0.1",
        "[]", "[::1]:-1",
    ],
)  # fmt: skip
def test_everything_else_is_not(header: str) -> None:
    """Other names and addresses, loopback spelled as no browser spells it, and what is no host at all."""
    assert not is_allowed_host(header, ())


def test_names_of_the_settings_are_answered() -> None:
    """A name, an address of either kind, with or without a port and brackets, in any case."""
    names = {host_name(host) for host in ("Metrics.Example.", "10.0.0.5", "fd00::5", "[fd00::6]:9108", "box:9108")}
    assert names == {"metrics.example", "10.0.0.5", "fd00::5", "fd00::6", "box"}
    for header in ("metrics.example:9108", "METRICS.EXAMPLE", "10.0.0.5:1", "[FD00:0::5]:9108", "[fd00::6]", "box"):
        assert is_allowed_host(header, {name for name in names if name is not None}), header
    for header in ("example", "a.metrics.example", "10.0.0.50", "[fd00::55]", "fd00::5", "box.example"):
        assert not is_allowed_host(header, {name for name in names if name is not None}), header


@given(st.text(max_size=40), st.sets(st.sampled_from(["box", "fd00::5", "10.0.0.5"])))
def test_any_text_is_answered_or_not(header: str, names: set[str]) -> None:
    """No error, and no stranger's name."""
    if is_allowed_host(header, names):
        assert host_name(header) in {"localhost", "::1", *names} or str(host_name(header)).startswith("127.")
