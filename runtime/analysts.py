"""
The analysts of a replay: the rules, or a model from its recorded replies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agents.analyst import Analyst
from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.prompts import Language, load
from agents.llm.recorded import Cassette, RecordedAnalyst
from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from analysis.view import MarketView

MakeAnalyst = Callable[[Parameters], Analyst]
"""Makes the analyst of a replay; picklable where several processes share the work."""

MODEL = "deepseek"


@dataclass(frozen=True, slots=True)
class Questions:
    """How a model is asked: the request's options, and which prompts in which language."""

    options: ModelOptions
    variant: str
    language: Language


def make_recorded_analyst(
    read_cassette: Callable[[], Cassette], questions: Questions, parameters: Parameters
) -> Analyst:
    """
    Make the analyst that decides from a model's recorded replies.

    Args:
        read_cassette: reads the recorded minutes; called at once.
        questions: how the model was asked; its prompts are read when first needed.
        parameters: the thresholds of the rules, the firewall and zones.
    """
    rules = RulesAnalyst(parameters)
    read_prompts = partial(load, questions.variant, questions.language)
    return RecordedAnalyst(read_cassette(), read_prompts, questions.options, rules, parameters, MODEL)


class AsLogged:
    """Decides each tick with the analyst that decided it live: a model where one is on record, else the rules."""

    name = "as logged"

    def __init__(self, cassette: Cassette, questions: Questions, parameters: Parameters) -> None:
        self._cassette = cassette
        self._rules = RulesAnalyst(parameters)
        self._model = make_recorded_analyst(lambda: cassette, questions, parameters) if cassette else self._rules

    def decide(self, view: MarketView) -> Advice:
        """See `Analyst.decide`."""
        is_from_model = view.as_of_seq in self._cassette and self._cassette[view.as_of_seq].decided
        return (self._model if is_from_model else self._rules).decide(view)
