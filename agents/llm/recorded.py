"""
The recorded analyst: leads the same conversation with the replies of a decision log. It sends no request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from agents.llm.conversation.dialogue import ModelOptions, Outcome, Turn, converse, proceed
from agents.llm.conversation.prompts import BadPrompts, Prompts
from agents.llm.firewall.admit import problem_of_view
from agents.llm.to_advice import advice_of, fallback_advice
from agents.llm.wire.api import UnreadableReply, digest_of, read_reply
from agents.llm.wire.shapes import FIXES
from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from analysis.view import MarketView
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION
from eventlog.store.log import Log
from market.timestamps import iso

_COLUMNS = {
    MODEL_CALL: ("market_seq", "request_digest", "verdict", "reply"),
    MODEL_DECISION: ("market_seq", "analyst", "prompt_digest", "fallback", "cut", "anomalies"),
}


class MissingCall(Exception):
    """The record holds no reply to a request; the message is one line and says what to do."""


@dataclass(slots=True)
class RecordedMinute:
    """
    The record of one tick.

    Attributes:
        replies: bodies by the digest of the request they answer. decided: whether a decision is on record.
        fallback: why the rules decided instead, None where the model did.
        cut: whether the conversation was aborted from outside (time, money, a fault), which replies cannot show.
        fixes: the words of `shapes.FIXES` on record, None where the record does not say.
    """

    replies: dict[str, str] = field(default_factory=dict)
    decided: bool = False
    analyst: str = ""
    prompt_digest: str = ""
    fallback: str | None = None
    cut: bool = False
    fixes: frozenset[str] | None = None


Cassette = Mapping[int, RecordedMinute]
"""Recorded minutes by the seq of their tick."""


def cassette_of(decisions: Log) -> dict[int, RecordedMinute]:
    """Read the recorded minutes of a decision log; of two decisions on one tick the last, published one counts."""
    cassette: dict[int, RecordedMinute] = {}
    for batch in decisions.read(kinds=list(_COLUMNS), columns=_COLUMNS):
        for kind in _COLUMNS:
            if kind not in batch.rows:
                continue
            rows = batch.rows[kind]
            for row in rows.table().to_pylist():
                minute = cassette.setdefault(row["market_seq"], RecordedMinute())
                if kind == MODEL_DECISION:
                    minute.decided, minute.fallback, minute.cut = True, row["fallback"], row["cut"]
                    minute.analyst, minute.prompt_digest = row["analyst"], row["prompt_digest"]
                    minute.fixes = FIXES.intersection(row["anomalies"] or ())
                elif row["verdict"] == "ok" and row["reply"] is not None:
                    minute.replies[row["request_digest"]] = row["reply"]
    return cassette


class RecordedAnalyst:
    """
    Decides as a model did, from its recorded replies.

    Args:
        cassette: the recorded minutes.
        read_prompts: reads the prompts of the record, called when a minute first needs them.
        options: how the model was asked; another prompt or option makes another request, which has no reply.
        rules: decides where the model did not. parameters: the thresholds of the firewall and of zones.
        name: the analyst's name in advice.
    """

    def __init__(
        self,
        cassette: Cassette,
        read_prompts: Callable[[], Prompts],
        options: ModelOptions,
        rules: RulesAnalyst,
        parameters: Parameters,
        name: str,
    ) -> None:
        self.name = name
        self._cassette = cassette
        self._read_prompts = read_prompts
        self._options = options
        self._rules = rules
        self._parameters = parameters

    def decide(self, view: MarketView) -> Advice:
        """
        See `Analyst.decide`.

        Raises:
            MissingCall: the record does not hold what this minute would ask.
        """
        minute = self._cassette.get(view.as_of_seq)
        if minute is None or not minute.decided:
            raise MissingCall(f"no model was asked about {iso(view.as_of_ns)}; replay with --analyst rules")
        problem = minute.fallback if minute.cut else problem_of_view(view)
        if problem is not None:
            return fallback_advice(view, problem, self.name, minute.prompt_digest, self._rules)
        outcome = self._converse(view, minute)
        return advice_of(view, outcome, self.name, minute.prompt_digest, self._rules, self._parameters)

    def _converse(self, view: MarketView, minute: RecordedMinute) -> Outcome:
        """
        Repeat the conversation with the recorded replies, read as they were then: before replies of other endpoints
        were normalised, a reply of another shape was refused or taken as it came.
        """
        outcome: Outcome | MissingCall
        try:
            outcome = self._replay(view, minute, normalise=True)
            if _matches_record(outcome, minute):
                return outcome
        except MissingCall as missing_call:
            outcome = missing_call
        as_received = self._converse_unnormalised(view, minute)
        if as_received is not None and _matches_record(as_received, minute):
            return as_received
        if isinstance(outcome, MissingCall):
            raise outcome
        return outcome

    def _converse_unnormalised(self, view: MarketView, minute: RecordedMinute) -> Outcome | None:
        """The outcome with replies as they came; None where the record does not fit them."""
        try:
            return self._replay(view, minute, normalise=False)
        except (MissingCall, UnreadableReply):
            return None

    def _replay(self, view: MarketView, minute: RecordedMinute, normalise: bool) -> Outcome:
        prompts = self._prompts
        dialogue = converse(view, prompts, self._options, self._parameters, normalise)
        turn = proceed(dialogue)
        while isinstance(turn, Turn):
            body = minute.replies.get(digest_of(turn.request))
            if body is None:
                raise _missing_call(view, turn.agent, minute.prompt_digest == prompts.digest)
            turn = proceed(dialogue, read_reply(body, normalise))
        return turn

    @cached_property
    def _prompts(self) -> Prompts:
        try:
            return self._read_prompts()
        except BadPrompts as error:
            raise MissingCall(f"the prompts of the record cannot be read: {error}") from error


def _matches_record(outcome: Outcome, minute: RecordedMinute) -> bool:
    """Whether a conversation ended as recorded."""
    reason = None if outcome.decision else outcome.reason
    return reason == minute.fallback and (minute.fixes is None or minute.fixes == outcome.fixes)


def _missing_call(view: MarketView, agent: str, same_prompts: bool) -> MissingCall:
    reason = (
        "what would be asked is not what was asked then; see verify --verify-tools"
        if same_prompts
        else "the prompts are not those of the record"
    )
    return MissingCall(f"no recorded reply for the {agent} request of {iso(view.as_of_ns)}: {reason}")
