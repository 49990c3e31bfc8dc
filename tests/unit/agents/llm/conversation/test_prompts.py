"""Prompts: shipped ones in both languages, and what is wrong with one's own is said by file name."""

import shutil
from pathlib import Path

import pytest

from agents.llm.conversation.prompts import SHIPPED, BadPrompts, load


@pytest.mark.parametrize("variant", sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()))
def test_shipped_prompts_load_in_both_languages(variant: str) -> None:
    """Every shipped variant is whole, and its two languages have digests of their own."""
    assert load(variant, "zh").digest != load(variant, "en").digest


def test_a_folder_of_ones_own_is_a_variant(tmp_path: Path) -> None:
    """A copy has the digest of the original; one changed letter makes another."""
    shutil.copytree(SHIPPED / "default", tmp_path / "mine")
    assert load(str(tmp_path / "mine"), "en").digest == load("default", "en").digest
    file = tmp_path / "mine" / "en" / "static.md"
    file.write_text(file.read_text() + " Be brief.")
    assert load(str(tmp_path / "mine"), "en").digest != load("default", "en").digest


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("statics", b"words", "statics.md is no prompt; known are static.md"),
        ("static", b"", "prompt static.md is empty"),
        ("static", b"\xff\xfe", "not UTF-8"),
        ("ask_static", b"Call $tol", "asks for $tol, which has no value"),
        ("ask_static", b"It costs 5$ today", "a $ that names nothing"),
        ("ask_decision", b"Decide: $candidates", "must say the word json"),
    ],
)
def test_faults_are_named_by_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """One line, the file's name, and what to do."""
    shutil.copytree(SHIPPED / "default", tmp_path / "mine")
    (tmp_path / "mine" / "en" / f"{name}.md").write_bytes(content)
    with pytest.raises(BadPrompts) as fault:
        load(str(tmp_path / "mine"), "en")
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


def test_what_a_variant_leaves_out_is_the_defaults(tmp_path: Path) -> None:
    """A folder with one file is a variant that differs in that file alone."""
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "ask_verdict.md").write_text("Be brief.")
    mine, default = load(str(tmp_path), "en"), load("default", "en")
    assert {name for name in default.texts if mine.texts[name] != default.texts[name]} == {"ask_verdict"}
    with pytest.raises(BadPrompts, match=r"no prompts at .*/zh; shipped variants: cautious, default"):
        load(str(tmp_path), "zh")
