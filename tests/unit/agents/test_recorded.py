"""The recorded analyst: what the record decides, and what it refuses to guess."""

import pytest

from agents.conversation.dialogue import Asking
from agents.conversation.prompts import BadPrompts, Prompts, load
from agents.recorded import MissingCall, RecordedAnalyst, RecordedMinute
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from tests.market_builders import a_piece, a_view, meeting

PIECES = (a_piece("Wb0", 99.4, 99.6, 99.5),)
VIEW = a_view(PIECES, zones=meeting(PIECES))
PARAMETERS = Parameters()


def no_prompts() -> Prompts:
    """Prompts that are gone."""
    raise BadPrompts("no prompts at mine/en")


def analyst_of(minute: RecordedMinute | None, read_prompts=lambda: load("default", "en")) -> RecordedAnalyst:  # type: ignore[no-untyped-def]
    """An analyst whose record holds one minute."""
    tape = {} if minute is None else {VIEW.as_of_seq: minute}
    return RecordedAnalyst(tape, read_prompts, Asking("m"), RulesAnalyst(PARAMETERS), PARAMETERS, "deepseek")


def test_what_was_cut_from_outside_is_taken_from_the_record() -> None:
    """Time and money cannot be computed again: the reason, and the prompts of then, are the record's; none are read."""
    minute = RecordedMinute(decided=True, prompt_digest="old", fallback="no_budget: spent", cut=True)
    advice = analyst_of(minute, no_prompts).decide(VIEW)
    assert (advice.fallback, advice.prompt_digest) == ("no_budget: spent", "old")


def test_where_nobody_could_be_asked_nobody_is() -> None:
    """A view without zones has its reason in itself."""
    minute = RecordedMinute(decided=True, prompt_digest="old", fallback="anything")
    assert analyst_of(minute, no_prompts).decide(a_view()).fallback == "no evidence within reach of the price"


def test_a_reply_that_is_not_there_is_never_guessed() -> None:
    """Neither where the model decided, nor where it was refused, nor where prompts are gone."""
    for minute in (
        RecordedMinute(decided=True),
        RecordedMinute(decided=True, fallback="the decision was refused twice: x"),
    ):
        with pytest.raises(MissingCall, match="no recorded reply for the static request"):
            analyst_of(minute).decide(VIEW)
    with pytest.raises(MissingCall, match="cannot be read: no prompts at mine/en"):
        analyst_of(RecordedMinute(decided=True), no_prompts).decide(VIEW)
    with pytest.raises(MissingCall, match="no model was asked"):
        analyst_of(None).decide(VIEW)
