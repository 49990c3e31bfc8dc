"""What settings mean for a model: where it is asked, and over which proxy."""

import pytest

from runtime.model_config import endpoint_of
from runtime.settings.settings import DeepSeek, SettingsError

PROXY = "http://user:secret-word@proxy.example:8080"


def model_settings(base_url: str = "https://api.example.com", key: str | None = "sk-123456") -> DeepSeek:
    """Settings of a model."""
    return DeepSeek.model_validate({"base_url": base_url, "api_key": key})


def test_an_endpoint_is_asked_straight_or_over_a_proxy() -> None:
    """As the caller says; this machine never over one."""
    assert endpoint_of(model_settings()).proxy is None
    assert endpoint_of(model_settings(), PROXY).proxy == PROXY
    assert endpoint_of(model_settings("http://127.0.0.1:8000"), PROXY).proxy is None
    assert "secret-word" not in repr(endpoint_of(model_settings(), PROXY))


def test_without_a_key_there_is_no_endpoint() -> None:
    """One line names the setting."""
    with pytest.raises(SettingsError, match="api_key is not set"):
        endpoint_of(model_settings(key=None))


@pytest.mark.parametrize("proxy", ["socks5://user:secret-word@proxy.example", "user:secret-word@proxy.example", "x"])
def test_what_is_no_proxy_is_a_fault_of_the_settings(proxy: str) -> None:
    """One line that does not repeat it."""
    with pytest.raises(SettingsError, match="the model cannot be asked: the proxy is no address of one") as caught:
        endpoint_of(model_settings(), proxy)
    assert "secret-word" not in str(caught.value)
