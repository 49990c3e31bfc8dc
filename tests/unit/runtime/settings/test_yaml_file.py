"""Settings files that are no settings: huge, endless, twisted, binary, or with a key given twice."""

import codecs
import os
import random
import time
from pathlib import Path

import pytest
import yaml

from runtime.settings.settings import SettingsError, load
from runtime.settings.yaml_file import MAX_BYTES, read, read_dotenv
from tests.conftest import ROOT
from tests.settings_builders import forget_environment, loaded, refusal

LAUGHS = "app: {name: &a0 [x, x], " + ", ".join(f"k{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)) + "}"
MERGES = "app: &a0 {x: 1}\n" + "".join(f"k{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))
TAG = "a tag (!name) that settings do not know; remove it"
BASE = "a number that YAML reads in base 8; write it without the leading zero"
LOOKS = "not the number, date or true/false that it looks like"
KEY = "a key must be text"
SECTIONS = "must hold sections like app: and redis:, not a"


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(tmp_path, monkeypatch)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        # a key given twice
        ("app: {name: a, name: b}", "app.name: given twice, both times in line 1; remove one of them"),
        ("app: {name: a}\nredis: {embedded: true}\napp: {name: b}", "app: given twice, in lines 1 and 3; remove one"),
        ("app:\n  name: a\n  log_level: INFO\n  name: b\n", "app.name: given twice, in lines 2 and 4"),
        ('app:\n  name: a\n  "name": b\n', "app.name: given twice, in lines 2 and 3"),
        ("data_collector:\n  depth_snapshot:\n    limit: 5\n    limit: 5\n", "data_collector.depth_snapshot.limit: "),
        ("analyzer: {deepseek: {prices: {m: {output: 1, output: 2}}}}", "analyzer.deepseek.prices.m.output: given"),
        ("analyzer: {deepseek: {prices: {v-4: {}, v-4: {}}}}", "analyzer.deepseek.prices.v-4: given twice"),
        ("binance: {symbols: [{a: 1, a: 2}]}", "binance.symbols.0.a: given twice"),
        ("unknown: {a: 1, a: 2}", "unknown.a: given twice"),
        ("app: {<<: {name: a}, <<: {name: b}}", "app.<<: given twice"),
        ("app: {name: a, <<: {name: b, name: c}}", "app.<<.name: given twice"),
        # aliases, nesting, size
        (LAUGHS, "contains more values than settings need"),
        (MERGES, "nests deeper than settings do"),
        ("app: &a [*a]", "nests deeper than settings do"),
        ("app: &a {name: *a}", "nests deeper than settings do"),
        ("app: &a {<<: *a}", "nests deeper than settings do"),
        ("app: *nobody", "is not YAML: line 1: an alias (*) that no anchor (&) before it names"),
        ("app: {name: &a x, environment: &a y}", "is not YAML: line 1: an anchor (&) given twice"),
        ("app: {<<: 5}", "line 1: app: << must be followed by keys and values"),
        ("app: {<<: [5]}", "line 1: app: << must be followed by keys and values"),
        ("[" * 100_000, "line 1: nests deeper than settings do"),
        ("{a: " * 60_000, "line 1: nests deeper than settings do"),
        ("- " * 100_000, "line 1: nests deeper than settings do"),
        ("".join(f"{' ' * n}a:\n" for n in range(600)), "line 21: nests deeper than settings do"),
        ("? " * 50_000, "line 1: nests deeper than settings do"),
        ("- a\n" * 60_000, "line 20000: contains more values than settings need"),
        ("a: " + "x" * 200_000, "line 1: a value or key of more than 10,000 characters"),
        ('a: "' + "x" * 200_000 + '"', "line 1: a value or key of more than 10,000 characters"),
        ("a: |\n" + "  x\n" * 60_000, "line 1: a value or key of more than 10,000 characters"),
        ("? " + "x" * 200_000 + "\n: b", "line 1: a value or key of more than 10,000 characters"),
        ("x" * 10_000_000, "is larger than 256 KiB; it is no settings file"),
        ("#" * (MAX_BYTES + 1), "is larger than 256 KiB; it is no settings file"),
        # tags, and values that are not what they look like
        ("app: {name: !!python/object:os.system x}", f"line 1: app.name: {TAG}"),
        ("app: !!python/object/apply:os.system [x]", f"line 1: app: {TAG}"),
        ("app: {name: !!python/name:os.system }", f"line 1: app.name: {TAG}"),
        ("app: {name: !sk-secret x}", f"line 1: app.name: {TAG}"),
        ("app: {name: !!binary aGVsbG8=}", f"line 1: app.name: {TAG}"),
        ("app: !!set {name}", f"line 1: app: {TAG}"),
        ("app: !!omap [name: x]", f"line 1: app: {TAG}"),
        ("app: !!str {name: x}", f"line 1: app: {TAG}"),
        ("app: {name: !!map x}", f"line 1: app.name: {TAG}"),
        ("%TAG !e! tag:sk-secret,2000:\n---\napp: !e!x y", f"line 3: app: {TAG}"),
        ("app: !sk-secret!x y", "is not YAML: line 1: found undefined tag handle a name"),
        ('redis: {port: !!int ""}', f"line 1: redis.port: {LOOKS}"),
        ("redis: {port: !!int sk-secret}", f"line 1: redis.port: {LOOKS}"),
        ("redis: {port: !!float sk-secret}", f"line 1: redis.port: {LOOKS}"),
        ("redis: {embedded: !!bool sk-secret}", f"line 1: redis.embedded: {LOOKS}"),
        ("redis: {port: !!timestamp sk-secret}", f"line 1: redis.port: {LOOKS}"),
        (f"redis: {{port: {'9' * 5000}}}", f"line 1: redis.port: {LOOKS}"),
        (f"binance: {{timeout: 1{':1' * 4000}.5}}", f"line 1: binance.timeout: {LOOKS}"),
        ("analyzer: {deepseek: {holidays: [2026-02-30]}}", f"line 1: analyzer.deepseek.holidays.0: {LOOKS}"),
        (f"redis: {{embedded: true, port: 0x{'f' * 9000}}}", "redis.port: must be a whole number from 1 to 65,535"),
        (f"redis: {{embedded: true, port: 1{':1' * 4000}}}", "redis.port: must be a whole number from 1 to 65,535"),
        ("metrics: {port: 010}", f"line 1: metrics.port: {BASE}"),
        ('app: {name: "${HOME"}', "app.name: a ${ that names no variable, or is not closed"),
        ('app: {name: "${}"}', "app.name: a ${ that names no variable, or is not closed"),
        # keys that are none
        ("1: x", f"line 1: {KEY}"),
        ("null: x", f"line 1: {KEY}"),
        ("app:\n  yes: x", f"line 2: app: {KEY}"),
        ("2026-01-01: x", f"line 1: {KEY}"),
        ("1.5: x", f"line 1: {KEY}"),
        ("? [a, b]\n: x", f"line 1: {KEY}"),
        ("? {a: b}\n: x", f"line 1: {KEY}"),
        ('"": x', "(a key not shown): unknown key"),
        ('"a\\nb": x', "(a key not shown): unknown key"),
        ('"\\ud800": x', "line 1: a key with an invalid character"),
        # what is no mapping
        ("- a\n- b", f" {SECTIONS} list"),
        ("[]", f" {SECTIONS} list"),
        ("false", f" {SECTIONS} single value"),
        ("5", f" {SECTIONS} single value"),
        ('""', f" {SECTIONS} single value"),
        ("sk-secret", f" {SECTIONS} single value"),
        ("app:", "app: must hold keys and values"),
        ("app: [a]", "app: must hold keys and values"),
        # what is no YAML, or no text
        ("app: x\n---\napp: y", " is not YAML: line 2: a second document (---); keep one"),
        ("app: {name: 'sk-secret", " is not YAML: line 1: found unexpected end of stream"),
        ("app: x: sk-secret", " is not YAML: line 1: mapping values are not allowed here"),
        ("app:\n\tname: x", " is not YAML: line 2: found character (a tab) that cannot start any token"),
        ("app: @sk-secret", " is not YAML: line 1: found character '@' that cannot start any token"),
        ('app: "sk-secret\\q"', " is not YAML: line 1: found unknown escape character 'q'"),
        ("app: {name: x}}", " is not YAML: line 1: expected <block end>, but found '}'"),
        (b"a: b\n\x00\x01", " is not YAML: line 2: a hidden character (number 0x0) not allowed in text"),
        (b"\x7fELF\x02\x01", " is not YAML: line 1: a hidden character (number 0x7f)"),
        (b"\x89PNG\r\n\x1a\n", " is not UTF-8 text: invalid start byte; save it as UTF-8"),
        (b"app: \xff", " is not UTF-8 text: invalid start byte; save it as UTF-8"),
        (b"\xff\xfea", " is not UTF-8 text: truncated data; save it as UTF-8"),
        ("app: {name: x}".encode("utf-16-le"), " is not YAML: line 1: a hidden character (number 0x0)"),
        ("app: {name: x}".encode("utf-32"), " is not YAML: line 1: a hidden character (number 0x0)"),
        ('app: {name: "\\ud800"}', "app.name: an invalid character"),
        ('app: {name: "a\\nb"}', "app.name: contains a line break or a hidden character"),
        ('analyzer: {deepseek: {model: "\\e[31mx"}}', "deepseek.model: contains a line break or a hidden character"),
        (f"app: {{name: {'x' * 201}}}", "app.name: must have at most 200 characters"),
        # variables
        ("app: {name: '" + "${HUGE}" * 1_000 + "'}", "app.name: a value or key of more than 10,000 characters"),
        ("app: {name: '${BYTES}'}", "app.name: an invalid character, or bytes that are not UTF-8"),
        ("binance: {symbols: ['${NOWHERE}']}", "binance.symbols.0: ${NOWHERE} is not set; export NOWHERE or write"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line(
    text: str | bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong and where, in good time, without quoting what may be a key."""
    monkeypatch.setenv("HUGE", "y" * 5_000)
    monkeypatch.setenv("BYTES", os.fsdecode(b"\xff"))
    reason = refusal(tmp_path, text)
    assert message.strip() in reason
    assert len(reason) < 400
    assert "secret" not in reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "---\n",
        "null",
        "{}",
        "# \n" * 80_000,
        "\n" * 200_000,
        codecs.BOM_UTF8,
    ],
)
def test_an_empty_file_is_all_defaults(text: str | bytes, tmp_path: Path) -> None:
    """However long its emptiness is."""
    assert loaded(tmp_path, text).redis.embedded


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + b"app: {name: x}",
        "app: {name: x}".encode("utf-16"),
        codecs.BOM_UTF16_BE + "app: {name: x}".encode("utf-16-be"),
        b"app:\r\n  name: x\r\n",
        b"app:\r  name: x\r",
        b"%YAML 1.2\n---\napp: {name: x}\n...\n",
    ],
)
def test_editors_of_any_machine_will_do(data: bytes, tmp_path: Path) -> None:
    """Byte order marks and line ends are not content."""
    assert loaded(tmp_path, data).app.name == "x"


def test_yaml_means_what_it_meant(tmp_path: Path) -> None:
    """Aliases, merge keys, truth values and base-60 numbers of YAML 1.1 stay what PyYAML makes of them."""
    text = """
data_collector:
  depth_snapshot: {update_interval_seconds: 1:30, window_size: 0x10}
  archive: &often {every_seconds: 1_000, keep_entries: 5}
  depth_diff: off
  views: No
analyzer:
  deepseek:
    prices:
      one: &price {cache_hit: 1, cache_miss: 2, output: 3}
      two: {<<: *price, output: 4}
      three: {<<: [{output: 5}, *price]}
      four: *price
"""
    settings = loaded(tmp_path, text)
    plain = yaml.safe_load(text)
    collected, prices = settings.data_collector, settings.analyzer.deepseek.prices
    assert collected.depth_snapshot.update_interval_seconds == 90
    assert collected.depth_snapshot.window_size == 16
    assert (collected.archive.every_seconds, collected.depth_diff, collected.views) == (1000, False, False)
    for name, price in plain["analyzer"]["deepseek"]["prices"].items():
        assert prices[name].model_dump(exclude={"peak_multiplier"}) == price


@pytest.mark.parametrize("name", ["development", "production", "demo"])
def test_files_that_come_along_are_read_as_pyyaml_reads_them(name: str) -> None:
    """Reading with bounds changes nothing."""
    path = ROOT / "config" / f"{name}.yaml"
    assert read(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_random_bytes_are_settings_or_one_line(tmp_path: Path) -> None:
    """Whatever a file holds: settings, or one line that names it."""
    chance = random.Random(26)
    full_text = (ROOT / "config" / "development.yaml").read_bytes()
    pieces = [b"*a", b"&a ", b"<<: ", b"!!int ", b"{", b"]", b"\t", b"\xff", b"\x00", b"? ", b": ", b"- ", b"'", b"|\n"]
    refusals = []
    for _ in range(300):
        data = bytearray(full_text)
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 3)] = chance.choice(pieces)
        try:
            loaded(tmp_path, bytes(data))
        except SettingsError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert [line for line in refusals if not line.isprintable() or "settings.yaml" not in line] == []


@pytest.mark.timeout(10)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe, a device, a folder, a name with a NUL, one that is not there."""
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, message in (
        (tmp_path / "pipe.yaml", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path / "a\0b", "its name holds a NUL"),
        (tmp_path / "two\nlines.yaml", "two?lines.yaml: No such file or directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(SettingsError, match=r"^cannot read settings ") as caught:
            load(path)
        assert message in str(caught.value)
        assert str(caught.value).isprintable()


@pytest.mark.timeout(10)
def test_a_dotenv_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A pipe, a file too large, values that double: one line. A folder of that name, a virtual environment, is none."""
    file = tmp_path / ".env"
    os.mkfifo(file)
    with pytest.raises(
        SettingsError, match=r"\.env cannot be read as a small UTF-8 text file; rewrite it or remove it"
    ):
        loaded(tmp_path, "")
    file.unlink()
    file.write_bytes(b"A=" + b"x" * MAX_BYTES)
    with pytest.raises(SettingsError, match=r"\.env cannot be read as a small UTF-8 text file"):
        loaded(tmp_path, "")
    file.write_text("A0=sk-secret\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 60)))
    with pytest.raises(SettingsError, match=r"\.env: A11: a value or key of more than 10,000 characters") as caught:
        loaded(tmp_path, "")
    assert "secret" not in str(caught.value)
    file.unlink()
    file.mkdir()
    assert loaded(tmp_path, "").app.name == "liquidity-agent"


def test_a_dotenv_stands_for_itself(tmp_path: Path) -> None:
    """Its variables may name earlier ones, the environment's and defaults; a byte order mark is no part of a name."""
    (tmp_path / ".env").write_text("\ufeffA=1\nB=${A}-${HOME_OF_B}-${C:-c}-${NOWHERE}\n# D=4\nexport E='e f'\nF\n")
    assert read_dotenv((tmp_path,), {"HOME_OF_B": "h"}) == {"A": "1", "B": "1-h-c-", "E": "e f"}


def test_variables_are_replaced_in_linear_time(tmp_path: Path) -> None:
    """Beginnings of a variable that never end cost nothing."""
    start_s = time.thread_time()
    text = "app:\n" + "".join(f"  k{n}: '{'${A:-' * 1_900}'\n" for n in range(26))
    assert refusal(tmp_path, text).startswith("app.k0: a ${ that names no variable")
    assert time.thread_time() - start_s < 5
