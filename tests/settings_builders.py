"""Settings files as tests write them, and what is said of bad ones."""

from pathlib import Path

import pytest

from runtime.settings.settings import Settings, SettingsError, load

_NAMES = ("DEEPSEEK_API_KEY", "DEEPSEEK_BASE_URL", "REDIS_HOST", "STORAGE_DIR", "DEMO_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def forget_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder, without the settings of the machine that tests run on."""
    monkeypatch.chdir(folder)
    for name in (*_NAMES, *_PROXIES, *(name.lower() for name in _PROXIES)):
        monkeypatch.delenv(name, raising=False)


def loaded(folder: Path, text: str | bytes) -> Settings:
    """Settings from a file with this text."""
    path = folder / "settings.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path)


def refusal(folder: Path, text: str | bytes) -> str:
    """What is said of a file, on one line, from the file's name on."""
    with pytest.raises(SettingsError) as caught:
        loaded(folder, text)
    said = str(caught.value)
    assert said.isprintable()
    assert said.startswith(str(folder / "settings.yaml"))
    return said.removeprefix(str(folder / "settings.yaml")).removeprefix(": ").strip()


def nested(path: str, value: object) -> dict[str, object]:
    """A file's values where one key, named by its path, has a value and all else is left out."""
    *sections, key = path.split(".")
    values: dict[str, object] = {key: value}
    if sections[:1] == ["redis"] and key not in ("url", "host", "embedded"):
        values["embedded"] = True
    for section in reversed(sections):
        values = {section: values}
    return values
