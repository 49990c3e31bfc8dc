"""
The recorded analyst: leads the same conversation with the replies of a decision log. It sends nothing, ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.answering import advice_of, fallback
from agents.conversation.dialogue import Asking, Outcome, converse
from agents.conversation.prompts import Prompts
from agents.model.api import digest_of, read_reply
from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from analysis.view import MarketView
from eventlog.facts import MODEL_CALL, MODEL_DECISION
from eventlog.log import Log
from market.timestamps import iso

_COLUMNS = {
    MODEL_CALL: ("market_seq", "request_digest", "verdict", "reply"),
    MODEL_DECISION: ("market_seq", "analyst", "prompt_digest", "fallback"),
}


class MissingCall(Exception):
    """The record holds no reply to what would be asked; the message is one line and says what to do."""


@dataclass(slots=True)
class RecordedMinute:
    """
    What the record holds of one tick.

    Attributes:
        replies: bodies by the digest of the request they answer. fallback: why the rules' answer stood in.
    """

    replies: dict[str, str] = field(default_factory=dict)
    decided: bool = False
    analyst: str = ""
    prompt_digest: str = ""
    fallback: str | None = None


Tape = Mapping[int, RecordedMinute]
"""By the seq of a tick."""


def tape_of(decisions: Log) -> dict[int, RecordedMinute]:
    """Every recorded minute of a decision log; of two decisions on one tick the first counts."""
    tape: dict[int, RecordedMinute] = {}
    for batch in decisions.read(kinds=list(_COLUMNS), columns=_COLUMNS):
        for kind in _COLUMNS:
            if kind not in batch.rows:
                continue
            rows = batch.rows[kind]
            for row in rows.columns.table.slice(rows.start, len(rows)).to_pylist():
                minute = tape.setdefault(row["market_seq"], RecordedMinute())
                if kind == MODEL_DECISION and not minute.decided:
                    minute.decided, minute.fallback = True, row["fallback"]
                    minute.analyst, minute.prompt_digest = row["analyst"], row["prompt_digest"]
                elif kind == MODEL_CALL and row["verdict"] == "ok" and row["reply"] is not None:
                    minute.replies.setdefault(row["request_digest"], row["reply"])
    return tape


class RecordedAnalyst:
    """
    Decides as a model did, from its recorded replies.

    Args:
        tape: what is recorded. asking, prompts: as they were then: another prompt is another question.
    """

    def __init__(
        self, tape: Tape, prompts: Prompts, asking: Asking, rules: RulesAnalyst, parameters: Parameters, name: str
    ) -> None:
        self.name = name
        self._tape = tape
        self._prompts = prompts
        self._asking = asking
        self._rules = rules
        self._parameters = parameters

    def decide(self, view: MarketView) -> Advice:
        """
        See `Analyst.decide`.

        Raises:
            MissingCall: the record does not hold what this minute would ask.
        """
        minute = self._tape.get(view.as_of_seq)
        if minute is None or not minute.decided:
            raise MissingCall(f"no model was asked about {iso(view.as_of_ns)}; replay with --analyst rules")
        digest = self._prompts.digest
        outcome = self._lead(view, minute) if minute.replies else None
        if minute.fallback is not None and (outcome is None or outcome.admitted or not outcome.reason):
            return fallback(view, minute.fallback, self.name, digest, self._rules)
        if outcome is None:
            raise self._missing(view, minute, "first")
        return advice_of(view, outcome, self.name, digest, self._rules, self._parameters)

    def _lead(self, view: MarketView, minute: RecordedMinute) -> Outcome | None:
        """The conversation as far as replies are recorded; None where a fallback ended it before its end."""
        dialogue = converse(view, self._prompts, self._asking, self._parameters)
        turn = next(dialogue)
        while True:
            body = minute.replies.get(digest_of(turn.request))
            if body is None:
                if minute.fallback is not None:
                    return None
                raise self._missing(view, minute, turn.agent)
            try:
                turn = dialogue.send(read_reply(body))
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome

    def _missing(self, view: MarketView, minute: RecordedMinute, agent: str) -> MissingCall:
        why = (
            "the prompts are not those of the record"
            if minute.prompt_digest != self._prompts.digest
            else "what would be asked is not what was asked then; see verify --verify-tools"
        )
        return MissingCall(f"no recorded reply for the {agent} request of {iso(view.as_of_ns)}: {why}")
