"""
The three steps, as a machine that is handed replies and hands out the next request: the same for a live model and
for recorded replies. It knows no clock and no network.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from agents.llm.conversation.prompts import Prompts
from agents.llm.conversation.tools import (
    DEPTH,
    FLOW,
    Call,
    calls_in,
    candidates,
    definition,
    fault_of,
    forced,
    result,
    says_nothing,
)
from agents.llm.firewall.admit import Admitted, admit
from agents.llm.firewall.check_grounding import weigh
from agents.llm.firewall.grounding import Grounding, ground
from agents.llm.firewall.reading import bare
from agents.llm.wire.api import Reply, Request
from agents.llm.wire.shapes import MENDS, NO_ARGUMENTS
from analysis.parameters import Parameters
from analysis.view import MarketView
from market.timestamps import iso

Agent = Literal["static", "dynamic", "decision", "compact"]
Mode = Literal["staged", "compact"]
Effort = Literal["low", "high", "max"]

_TOOL_ROUNDS = 3
_VERDICT_ROUNDS = 3
_DECISIONS = 2
_LONGEST_VERDICT = 1_500
_LONGEST_ECHO = 64 * 1024
_LONGEST_THOUGHTS = 32 * 1024
_SHOWN_REASONS = 8


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """
    How a model is asked; everything here is part of what is sent.

    Attributes:
        thinking: None leaves it unsaid, for endpoints that do not know the field.
        strict: the tools' schemas are enforced by the server.
    """

    model: str
    mode: Mode = "staged"
    thinking: bool | None = False
    effort: Effort = "high"
    strict: bool = False
    temperature: float = 0.2
    max_tokens: int = 2_000


@dataclass(frozen=True, slots=True)
class Turn:
    """A request to be sent, and which agent sends it."""

    agent: Agent
    request: Request


@dataclass(slots=True)
class Outcome:
    """
    How a conversation ended.

    Attributes:
        admitted: the decision that passed the firewall, None where none did; `reason` then says why.
        cut: whether it was ended from outside, by time, money or a fault.
        model: who answered last, as it calls itself.
        anomalies: what went wrong on the way, a word each time, and what had to be mended, a word of `shapes.MENDS`
            each kind. refusals: the firewall's reasons, oldest first.
        numbers, ungrounded: how many numbers its texts held, and how many of them nobody had shown.
    """

    admitted: Admitted | None = None
    reason: str = ""
    cut: bool = False
    model: str | None = None
    anomalies: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    numbers: int = 0
    ungrounded: int = 0

    @property
    def mends(self) -> frozenset[str]:
        """Those of the anomalies that were mended."""
        return MENDS.intersection(self.anomalies)


Dialogue = Generator[Turn, Reply, Outcome]
_Steps = Generator[Turn, Reply, str]
_Messages = list[dict[str, Any]]


class _NoUse(Exception):
    """The model would not be led on; the message is the reason."""


def converse(
    view: MarketView, prompts: Prompts, asking: ModelOptions, parameters: Parameters, mend: bool = True
) -> Dialogue:
    """
    Lead a model through one minute. Yields turns, is sent their replies, returns how it ended.

    Args:
        mend: whether shapes of other endpoints are taken; not where a record was made without. See `read_reply`.
    """
    return _Minute(view, prompts, asking, parameters, mend).run()


def proceed(dialogue: Dialogue, reply: Reply | None = None) -> Turn | Outcome:
    """The next turn of a dialogue after the reply to the last one (None to begin with), or how it ended."""
    try:
        return next(dialogue) if reply is None else dialogue.send(reply)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome


class _Minute:
    """One minute's conversation."""

    def __init__(
        self, view: MarketView, prompts: Prompts, asking: ModelOptions, parameters: Parameters, mend: bool
    ) -> None:
        self._view = view
        self._prompts = prompts
        self._asking = asking
        self._parameters = parameters
        self._mend = mend
        self._outcome = Outcome()
        self._about = {"symbol": view.symbol, "as_of": iso(view.as_of_ns)}

    def run(self) -> Dialogue:
        try:
            yield from self._staged() if self._asking.mode == "staged" else self._compact()
        except _NoUse as stuck:
            self._outcome.reason = str(stuck)
        return self._outcome

    def _staged(self) -> Generator[Turn, Reply, None]:
        static = yield from self._analyst("static", DEPTH)
        dynamic = yield from self._analyst("dynamic", FLOW)
        ask = self._prompts.say(
            "ask_decision",
            **self._about,
            depth=result(DEPTH, self._view),
            order_flow=result(FLOW, self._view),
            static_verdict=static,
            dynamic_verdict=dynamic,
            candidates=candidates(self._view),
        )
        yield from self._decide("decision", [self._system("decision"), _user(ask)], [])

    def _compact(self) -> Generator[Turn, Reply, None]:
        tools = self._tools(DEPTH, FLOW)
        messages = [self._system("compact"), _user(self._prompts.say("ask_compact", **self._about))]
        yield from self._look_up("compact", messages, tools, (DEPTH, FLOW))
        messages.append(_user(self._prompts.say("ask_compact_decision", candidates=candidates(self._view))))
        yield from self._decide("compact", messages, tools)

    def _analyst(self, agent: Agent, tool: str) -> _Steps:
        """One analyst: its tool, then its verdict."""
        tools = self._tools(tool)
        messages = [self._system(agent), _user(self._prompts.say(f"ask_{agent}", **self._about, tool=tool))]
        yield from self._look_up(agent, messages, tools, (tool,))
        messages.append(_user(self._prompts.say("ask_verdict")))
        for _ in range(_VERDICT_ROUNDS):
            reply = yield Turn(agent, self._request(messages, tools, "none"))
            calls = self._echo(messages, reply)
            if calls:
                self._answer(messages, calls, (tool,))
                continue
            text = _content(reply)
            if text:
                self._count(ground(text, result(tool, self._view)))
                return text if len(text) <= _LONGEST_VERDICT else text[:_LONGEST_VERDICT] + "…"
            messages.append(_user(self._prompts.say("ask_verdict")))
        raise _NoUse(f"the {agent} agent gave no verdict")

    def _look_up(
        self, agent: Agent, messages: _Messages, tools: list[dict[str, Any]], wanted: Sequence[str]
    ) -> Generator[Turn, Reply, None]:
        """Have every wanted tool called; bounded, whatever the model does instead."""
        left = list(wanted)
        for _ in range(_TOOL_ROUNDS + len(wanted) - 1):
            reply = yield Turn(agent, self._request(messages, tools, self._must_call(left)))
            calls = self._echo(messages, reply)
            if not calls:
                self._outcome.anomalies.append("no_tool_call")
                messages.append(_user(self._prompts.say("call_the_tool", tool=", ".join(left))))
                continue
            for name in self._answer(messages, calls, wanted):
                if name in left:
                    left.remove(name)
            if not left:
                return
        raise _NoUse(f"{left[0]} was not called soundly")

    def _decide(self, agent: Agent, messages: _Messages, tools: list[dict[str, Any]]) -> Generator[Turn, Reply, None]:
        """The decision, past the firewall; one round to mend it."""
        shown = " ".join([result(DEPTH, self._view), result(FLOW, self._view), candidates(self._view)])
        for number in range(_DECISIONS):
            request = self._request(messages, tools, "none") | {"response_format": {"type": "json_object"}}
            reply = yield Turn(agent, request)
            calls = self._echo(messages, reply)
            text = bare(_content(reply), self._note) if self._mend else _content(reply)
            judged = admit(text, self._view, self._parameters)
            self._count(weigh(text, shown))
            if isinstance(judged, Admitted):
                self._outcome.admitted = judged
                return
            self._outcome.refusals += judged.reasons
            if number == 0:
                self._outcome.anomalies.append("decision_refused")
                self._answer(messages, calls, ())
                reasons = "\n".join(f"- {reason}" for reason in judged.reasons[:_SHOWN_REASONS])
                messages.append(_user(self._prompts.say("repair", reasons=reasons)))
        raise _NoUse(f"the decision was refused twice: {self._outcome.refusals[-1]}")

    def _request(self, messages: _Messages, tools: list[dict[str, Any]], choice: Any) -> Request:
        """
        A request with everything said so far. What stays the same from minute to minute comes first in its messages.
        """
        asking = self._asking
        request: Request = {"model": asking.model, "messages": [dict(m) for m in messages]}
        if tools:
            request["tools"] = tools
            if not asking.thinking:
                request["tool_choice"] = choice
        request["max_tokens"] = asking.max_tokens
        if not asking.thinking:
            request["temperature"] = asking.temperature
        if asking.thinking is not None:
            request["thinking"] = {"type": "enabled" if asking.thinking else "disabled"}
        if asking.thinking:
            request["reasoning_effort"] = asking.effort
        return request

    def _must_call(self, left: Sequence[str]) -> Any:
        """A choice that leaves no other way, where the API allows one: while thinking it allows none."""
        return forced(left[0]) if len(left) == 1 else "required"

    def _echo(self, messages: _Messages, reply: Reply) -> list[Call]:
        """Take up what the assistant said; calls that cannot be answered are left out."""
        self._outcome.model = reply.model
        for word in reply.mends:
            self._note(word)
        calls = calls_in(reply.message)
        said = {k: v for k, v in reply.message.items() if v is not None} | {"role": "assistant"}
        if _is_too_long(said):
            self._outcome.anomalies.append("too_long")
            return []
        if calls is None:
            self._outcome.anomalies.append("unreadable_tool_call")
        if not calls:
            said.pop("tool_calls", None)
        if calls or _content(reply) or said.get("reasoning_content"):
            thoughts = {"reasoning_content": ""} if self._asking.thinking else {}  # the API asks for the field
            messages.append({"content": ""} | thoughts | said)
        return calls or []

    def _answer(self, messages: _Messages, calls: Sequence[Call], offered: Sequence[str]) -> list[str]:
        """Answer every call, the same one in full once; returns the tools that were called soundly."""
        sound: dict[str, str] = {}
        for call in calls:
            fault = fault_of(call, self._view.symbol, offered, self._mend)
            if fault is None and says_nothing(call):
                self._note(NO_ARGUMENTS)
            if fault is None and call.name in sound:
                content = f"the same as the answer to {sound[call.name]}"
            elif fault is None:
                sound[call.name] = call.id
                content = result(call.name, self._view)
            else:
                self._outcome.anomalies.append("bad_arguments")
                content = f"error: {fault}"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
        return list(sound)

    def _note(self, mend: str) -> None:
        if mend not in self._outcome.anomalies:
            self._outcome.anomalies.append(mend)

    def _count(self, grounding: Grounding) -> None:
        self._outcome.numbers += grounding.found
        self._outcome.ungrounded += len(grounding.ungrounded)

    def _system(self, name: Agent) -> dict[str, Any]:
        return {"role": "system", "content": self._prompts.texts[name]}

    def _tools(self, *names: str) -> list[dict[str, Any]]:
        return [definition(n, self._prompts.texts[n], self._view.symbol, self._asking.strict) for n in names]


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _is_too_long(said: dict[str, Any]) -> bool:
    """Whether a message would make the next request far larger than any sound one."""
    thoughts = said.get("reasoning_content", "")
    rest = len(msgspec.json.encode({k: v for k, v in said.items() if k != "reasoning_content"}))
    length = len(thoughts if isinstance(thoughts, str) else msgspec.json.encode(thoughts))
    return rest > _LONGEST_ECHO or length > _LONGEST_THOUGHTS


def _content(reply: Reply) -> str:
    text = reply.message.get("content")
    return text.strip() if isinstance(text, str) else ""
