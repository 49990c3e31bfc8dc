"""
The three steps as a state machine that takes replies and yields the next request: the same for a live model and for
recorded replies. It uses no clock and no network.
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
    call_fault,
    candidates_json,
    define_tool,
    has_no_arguments,
    parse_calls,
    tool_choice,
    tool_result,
)
from agents.llm.firewall.admit import AdmittedDecision, admit
from agents.llm.firewall.check_grounding import check_grounding
from agents.llm.firewall.grounding import Grounding, ground
from agents.llm.firewall.reading import strip_wrapping
from agents.llm.wire.api import Reply, Request
from agents.llm.wire.shapes import FIXES, NO_ARGUMENTS
from analysis.parameters import Parameters
from analysis.view import MarketView
from market.timestamps import iso

Agent = Literal["static", "dynamic", "decision", "compact"]
Mode = Literal["staged", "compact"]
Effort = Literal["low", "high", "max"]

# most requests of one step before it fails
_TOOL_ROUNDS = 3
_VERDICT_ROUNDS = 3
_DECISION_ROUNDS = 2  # the decision, and one repair of it
# letters and bytes: they bound the requests that follow
_MAX_VERDICT = 1_500
_MAX_ECHO = 64 * 1024
_MAX_THOUGHTS = 32 * 1024
_MAX_REASONS = 8


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """
    How a model is asked; all of it is part of the requests.

    Attributes:
        model: its name. mode: three steps, or one.
        thinking: None leaves the field out, for endpoints that do not know it. effort: how hard, where it thinks.
        strict: whether the server enforces the tools' schemas.
        temperature: of sampling, not sent while thinking. max_tokens: of one reply.
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
    """A request to send, and the agent that it belongs to."""

    agent: Agent
    request: Request


@dataclass(slots=True)
class Outcome:
    """
    The outcome of a conversation.

    Attributes:
        decision: what passed the firewall, None where nothing did; `reason` then says why.
        cut: whether it was aborted from outside, by time, money or a fault.
        model: the model's own name in its last reply.
        anomalies: a word for each anomaly, and once for each kind of fix, of `shapes.FIXES`.
        refusals: the firewall's reasons, oldest first.
        numbers, ungrounded: the number of figures in the model's texts, and of those that it was not shown.
    """

    decision: AdmittedDecision | None = None
    reason: str = ""
    cut: bool = False
    model: str | None = None
    anomalies: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    numbers: int = 0
    ungrounded: int = 0

    @property
    def fixes(self) -> frozenset[str]:
        """The anomalies that are fixes."""
        return FIXES.intersection(self.anomalies)


Dialogue = Generator[Turn, Reply, Outcome]
_Steps = Generator[Turn, Reply, str]
_Messages = list[dict[str, Any]]


class _NoDecision(Exception):
    """The conversation brought no decision; the message is the reason."""


def converse(
    view: MarketView, prompts: Prompts, options: ModelOptions, parameters: Parameters, normalise: bool = True
) -> Dialogue:
    """
    Lead a model through one tick: yields turns, is sent their replies, returns the outcome.

    Args:
        view: the tick that it decides.
        prompts: the texts of the requests.
        options: the model and the form of its requests.
        parameters: the thresholds of the firewall and of zones.
        normalise: whether replies of other endpoints' shapes are accepted; False for a record made without that. See
            `read_reply`.
    """
    return _Minute(view, prompts, options, parameters, normalise).run()


def proceed(dialogue: Dialogue, reply: Reply | None = None) -> Turn | Outcome:
    """The next turn of a dialogue after the reply to the last one (None to begin with), or its outcome."""
    try:
        return next(dialogue) if reply is None else dialogue.send(reply)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome


class _Minute:
    """One minute's conversation."""

    def __init__(
        self, view: MarketView, prompts: Prompts, options: ModelOptions, parameters: Parameters, normalise: bool
    ) -> None:
        self._view = view
        self._prompts = prompts
        self._options = options
        self._parameters = parameters
        self._normalise = normalise
        self._outcome = Outcome()
        self._subject = {"symbol": view.symbol, "as_of": iso(view.as_of_ns)}

    def run(self) -> Dialogue:
        try:
            yield from self._run_staged() if self._options.mode == "staged" else self._run_compact()
        except _NoDecision as stuck:
            self._outcome.reason = str(stuck)
        return self._outcome

    def _run_staged(self) -> Generator[Turn, Reply, None]:
        static = yield from self._run_analyst("static", DEPTH)
        dynamic = yield from self._run_analyst("dynamic", FLOW)
        ask = self._prompts.render(
            "ask_decision",
            **self._subject,
            depth=tool_result(DEPTH, self._view),
            order_flow=tool_result(FLOW, self._view),
            static_verdict=static,
            dynamic_verdict=dynamic,
            candidates=candidates_json(self._view),
        )
        yield from self._decide("decision", [self._system("decision"), _user(ask)], [])

    def _run_compact(self) -> Generator[Turn, Reply, None]:
        tools = self._tools(DEPTH, FLOW)
        messages = [self._system("compact"), _user(self._prompts.render("ask_compact", **self._subject))]
        yield from self._look_up("compact", messages, tools, (DEPTH, FLOW))
        messages.append(_user(self._prompts.render("ask_compact_decision", candidates=candidates_json(self._view))))
        yield from self._decide("compact", messages, tools)

    def _run_analyst(self, agent: Agent, tool: str) -> _Steps:
        """Lead one analyst: its tool, then its verdict."""
        tools = self._tools(tool)
        messages = [self._system(agent), _user(self._prompts.render(f"ask_{agent}", **self._subject, tool=tool))]
        yield from self._look_up(agent, messages, tools, (tool,))
        messages.append(_user(self._prompts.render("ask_verdict")))
        for _ in range(_VERDICT_ROUNDS):
            reply = yield Turn(agent, self._request(messages, tools, "none"))
            calls = self._echo(messages, reply)
            if calls:
                self._answer(messages, calls, (tool,))
                continue
            text = _content(reply)
            if text:
                self._count(ground(text, tool_result(tool, self._view)))
                return text if len(text) <= _MAX_VERDICT else text[:_MAX_VERDICT] + "…"
            messages.append(_user(self._prompts.render("ask_verdict")))
        raise _NoDecision(f"the {agent} agent gave no verdict")

    def _look_up(
        self, agent: Agent, messages: _Messages, tools: list[dict[str, Any]], names: Sequence[str]
    ) -> Generator[Turn, Reply, None]:
        """Have each named tool called once, within a bounded number of rounds."""
        remaining = list(names)
        for _ in range(_TOOL_ROUNDS + len(names) - 1):
            reply = yield Turn(agent, self._request(messages, tools, self._tool_choice(remaining)))
            calls = self._echo(messages, reply)
            if not calls:
                self._outcome.anomalies.append("no_tool_call")
                messages.append(_user(self._prompts.render("call_the_tool", tool=", ".join(remaining))))
                continue
            for name in self._answer(messages, calls, names):
                if name in remaining:
                    remaining.remove(name)
            if not remaining:
                return
        raise _NoDecision(f"{remaining[0]} was not called soundly")

    def _decide(self, agent: Agent, messages: _Messages, tools: list[dict[str, Any]]) -> Generator[Turn, Reply, None]:
        """Ask for the decision and check it with the firewall; one round to repair it."""
        material = " ".join(
            [tool_result(DEPTH, self._view), tool_result(FLOW, self._view), candidates_json(self._view)]
        )
        for number in range(_DECISION_ROUNDS):
            request = self._request(messages, tools, "none") | {"response_format": {"type": "json_object"}}
            reply = yield Turn(agent, request)
            calls = self._echo(messages, reply)
            text = strip_wrapping(_content(reply), self._note) if self._normalise else _content(reply)
            decision = admit(text, self._view, self._parameters)
            self._count(check_grounding(text, material))
            if isinstance(decision, AdmittedDecision):
                self._outcome.decision = decision
                return
            self._outcome.refusals += decision.reasons
            if number == 0:
                self._outcome.anomalies.append("decision_refused")
                self._answer(messages, calls, ())
                reasons = "\n".join(f"- {reason}" for reason in decision.reasons[:_MAX_REASONS])
                messages.append(_user(self._prompts.render("repair", reasons=reasons)))
        raise _NoDecision(f"the decision was refused twice: {self._outcome.refusals[-1]}")

    def _request(self, messages: _Messages, tools: list[dict[str, Any]], choice: Any) -> Request:
        """
        A request with all messages so far. Those that are the same at every tick come first: providers cache them.
        """
        options = self._options
        request: Request = {"model": options.model, "messages": [dict(m) for m in messages]}
        if tools:
            request["tools"] = tools
            if not options.thinking:
                request["tool_choice"] = choice
        request["max_tokens"] = options.max_tokens
        if not options.thinking:
            request["temperature"] = options.temperature
        if options.thinking is not None:
            request["thinking"] = {"type": "enabled" if options.thinking else "disabled"}
        if options.thinking:
            request["reasoning_effort"] = options.effort
        return request

    def _tool_choice(self, remaining: Sequence[str]) -> Any:
        """The tool choice that forces a call; not sent while thinking, where the API allows none."""
        return tool_choice(remaining[0]) if len(remaining) == 1 else "required"

    def _echo(self, messages: _Messages, reply: Reply) -> list[Call]:
        """Append the assistant's message and return its calls; those that cannot be answered are left out."""
        self._outcome.model = reply.model
        for fix in reply.fixes:
            self._note(fix)
        calls = parse_calls(reply.message)
        message = {k: v for k, v in reply.message.items() if v is not None} | {"role": "assistant"}
        if _is_too_long(message):
            self._outcome.anomalies.append("too_long")
            return []
        if calls is None:
            self._outcome.anomalies.append("unreadable_tool_call")
        if not calls:
            message.pop("tool_calls", None)
        if calls or _content(reply) or message.get("reasoning_content"):
            thoughts = {"reasoning_content": ""} if self._options.thinking else {}  # the API asks for the field
            messages.append({"content": ""} | thoughts | message)
        return calls or []

    def _answer(self, messages: _Messages, calls: Sequence[Call], tools: Sequence[str]) -> list[str]:
        """Answer all calls, a repeated one with a reference; returns the tools that were called without a fault."""
        sound: dict[str, str] = {}
        for call in calls:
            fault = call_fault(call, self._view.symbol, tools, self._normalise)
            if fault is None and has_no_arguments(call):
                self._note(NO_ARGUMENTS)
            if fault is None and call.name in sound:
                content = f"the same as the answer to {sound[call.name]}"
            elif fault is None:
                sound[call.name] = call.id
                content = tool_result(call.name, self._view)
            else:
                self._outcome.anomalies.append("bad_arguments")
                content = f"error: {fault}"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
        return list(sound)

    def _note(self, fix: str) -> None:
        if fix not in self._outcome.anomalies:
            self._outcome.anomalies.append(fix)

    def _count(self, grounding: Grounding) -> None:
        self._outcome.numbers += grounding.count
        self._outcome.ungrounded += len(grounding.ungrounded)

    def _system(self, name: Agent) -> dict[str, Any]:
        return {"role": "system", "content": self._prompts.texts[name]}

    def _tools(self, *names: str) -> list[dict[str, Any]]:
        return [define_tool(n, self._prompts.texts[n], self._view.symbol, self._options.strict) for n in names]


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _is_too_long(message: dict[str, Any]) -> bool:
    """Whether a message would make the next request far larger than any sound one."""
    thoughts = message.get("reasoning_content", "")
    rest = len(msgspec.json.encode({k: v for k, v in message.items() if k != "reasoning_content"}))
    length = len(thoughts if isinstance(thoughts, str) else msgspec.json.encode(thoughts))
    return rest > _MAX_ECHO or length > _MAX_THOUGHTS


def _content(reply: Reply) -> str:
    text = reply.message.get("content")
    return text.strip() if isinstance(text, str) else ""
