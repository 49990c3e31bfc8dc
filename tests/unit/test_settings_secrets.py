"""No secret of settings is in anything that is shown, logged or raised."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from runtime.settings.reference import NAME, entries
from runtime.settings.settings import Settings, SettingsError, load, parse
from tests.settings_builders import forget_environment, loaded

MARK = "sk-MARKER0secret"
URL = "https://user:sk-MARKER0secret@h.example/sk-MARKER0secret?key=sk-MARKER0secret#sk-MARKER0secret"
GOOD = {
    "redis.url": f"redis://user:{MARK}@h:6379/0",
    "analyzer.deepseek.api_key": MARK,
    "network.proxy": f"http://user:{MARK}@proxy:3128",
}
ADDRESSES = ["binance.rest_url", "binance.websocket_url", "analyzer.deepseek.base_url", "redis.host", "metrics.host"]
SECRETS = [".".join(entry.path) for entry in entries(Settings) if entry.is_secret]
LEAVES = [".".join(entry.path) for entry in entries(Settings) if entry.section is None and NAME not in entry.path]
WAYS_TO_WRITE: list[Any] = [
    MARK, URL, f"{MARK} x", f"{MARK}\n", f"{MARK}\u200b", f"redis://:{MARK}", f"ftp://{MARK}@h", f"http://{MARK}@h",
    f"http://u:{MARK}@h:99999", f"wss://u:{MARK}@h", f"rediss://h?x={MARK}", f"unix://{MARK}", f"socks5://u:{MARK}@h:1",
    [MARK], {MARK: 1}, {"a": MARK}, [{MARK: MARK}], f"{MARK}é", f"~{MARK}/x", f"\ud800{MARK}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(tmp_path, monkeypatch)


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two files' values as one's."""
    both = one | other
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = merged(one[key], other[key])
    return both


def values_of(keys: dict[str, Any]) -> dict[str, Any]:
    """A file's values from keys by their paths, nothing added."""
    values: dict[str, Any] = {}
    for path, value in keys.items():
        for key in reversed(path.split(".")):
            value = {key: value}
        values = merged(values, value)
    return values


def test_every_secret_is_known_here() -> None:
    """A new one is put to these tests, too."""
    assert set(SECRETS) == set(GOOD)


def test_secrets_are_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good ones are in settings, and in nothing that is made of them."""
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://user:{MARK}@environment:1")
    from_file = loaded(tmp_path, yaml.safe_dump(values_of(GOOD)))
    environment = loaded(tmp_path, "")
    assert MARK in str(from_file.redis.server_url)
    assert MARK in str(from_file.proxy_for("https://h"))
    assert MARK in str(environment.proxy_for("https://h"))
    for settings in (from_file, environment):
        parts = [getattr(settings, name) for name in Settings.model_fields]
        for part in (settings, *parts):
            shown = [repr(part), str(part), f"{part}", part.model_dump_json(), str(part.model_dump()), str(vars(part))]
            shown += [str(part.model_dump(mode="json")), str(list(part)), str(part.__pydantic_private__)]
            assert not [text for text in shown if MARK in text]
        assert MARK not in settings.without_secrets()
    for key in ("url", "api_key", "proxy"):
        assert f'"{key}"' not in from_file.without_secrets()


@pytest.mark.parametrize("key", LEAVES)
def test_no_error_quotes_what_may_be_a_secret(key: str, tmp_path: Path) -> None:
    """Whatever key it was put into by mistake, and however it was written; a symbol aside, told in capitals."""
    for value in WAYS_TO_WRITE:
        values = values_of({**GOOD, key: value})
        if key in ("redis.host", "redis.embedded"):
            values["redis"].pop("url")
        text = yaml.safe_dump(values, allow_unicode=True) if "\ud800" not in str(value) else yaml.safe_dump(values)
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                load(path)
        except SettingsError as error:
            assert MARK not in str(error), str(error)  # noqa: PT017
            assert str(error).isprintable()  # noqa: PT017


@pytest.mark.parametrize("key", [*SECRETS, *ADDRESSES])
def test_an_error_of_pydantic_quotes_nothing_either(key: str) -> None:
    """Settings that are made without a file are checked as well."""
    values = values_of({key: URL if key not in SECRETS else {"a": URL}})
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values)
    assert MARK not in f"{caught.value}{caught.value!r}"
    with pytest.raises(SettingsError) as refused:
        parse(values, "the log's settings")
    assert MARK not in str(refused.value)
    assert str(refused.value).startswith(f"the log's settings: {key.split('.')[0]}")


@pytest.mark.parametrize(
    "text",
    [
        f"analyzer:\n  deepseek:\n    api_key: '{MARK}\n    model: x\n",
        f"analyzer:\n  deepseek:\n    api_key: {MARK}: x\n",
        f"analyzer:\n  deepseek:\n    api_key: *{MARK}\n",
        f"analyzer:\n  deepseek:\n    api_key: &{MARK} x\n    model: &{MARK} y\n",
        f"analyzer:\n  deepseek:\n    api_key: !{MARK} x\n",
        f"analyzer:\n  deepseek:\n    api_key: !{MARK}!x x\n",
        f"analyzer:\n  deepseek:\n    api_key: !<{MARK}> x\n",
        f"analyzer:\n  deepseek:\n    api_key: @{MARK}\n",
        f"analyzer:\n  deepseek:\n    api_key: %{MARK}\n",
        f"analyzer:\n  deepseek:\n    api_key {MARK}\n",
        f"analyzer:\n  deepseek:\n    {MARK}:\n",
        f"analyzer:\n  deepseek:\n    {MARK}: 1\n    {MARK}: 2\n",
        f"analyzer:\n  deepseek: {{api_key: {MARK}, api_key: {MARK}}}\n",
        f"analyzer:\n  deepseek:\n    prices: {{{MARK}: {{output: {MARK}}}}}\n",
        f"analyzer:\n  deepseek: {MARK}\n",
        f"redis: redis://:{MARK}@h\n",
        f"{MARK}: x\n",
        f"{MARK}",
        f"- {MARK}",
        f"? [{MARK}]\n: x",
        f"%TAG !e! {MARK}\n---\na: !e!{MARK} x",
        f"%{MARK} {MARK}\n--- {MARK}",
        f"# {MARK}\n\x00{MARK}",
        f"analyzer: {{deepseek: {{api_key: '{MARK}${{NOT_SET}}{MARK}', model: '{MARK}${{NOT_SET}}'}}}}",
        f"analyzer: {{deepseek: {{model: '${{X:-{MARK}}}', api_key: '${{X:-{MARK} }}x'}}}}",
    ],
)
def test_a_broken_file_is_not_quoted(text: str, tmp_path: Path) -> None:
    """Line and kind of the fault, not the line itself."""
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    assert MARK not in str(caught.value)
    assert "MARKER" not in str(caught.value)
    assert caught.value.__cause__ is None
