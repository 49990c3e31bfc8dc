"""
A reply of the model, before it is put in the API's shape.
"""

from dataclasses import dataclass, replace

from simulators.model.answers.tokens import cut_to_tokens, tokens_of


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool: its name and its arguments as text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Draft:
    """
    One reply.

    Attributes:
        content: the message's text. reasoning: the reasoning_content, None without thinking.
        calls: tool calls, in order. finish: the finish_reason.
    """

    content: str = ""
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"

    @property
    def reasoning_tokens(self) -> int:
        """Number of tokens of the reasoning."""
        return tokens_of(self.reasoning or "")

    @property
    def tokens(self) -> int:
        """Number of tokens of reasoning, content and tool calls."""
        call_tokens = sum(tokens_of(call.name) + tokens_of(call.arguments) for call in self.calls)
        return self.reasoning_tokens + tokens_of(self.content) + call_tokens


def cut_draft(draft: Draft, max_tokens: int) -> Draft:
    """
    Cut a draft to a number of tokens, with finish_reason `length`; one that is short enough stays as it is.

    Args:
        max_tokens: number of tokens that remain; they are spent on reasoning first, then on content, then on calls.
    """
    if draft.tokens <= max_tokens:
        return draft
    remaining = max_tokens
    reasoning = None if draft.reasoning is None else cut_to_tokens(draft.reasoning, remaining)
    remaining -= tokens_of(reasoning or "")
    content = cut_to_tokens(draft.content, remaining)
    remaining -= tokens_of(content)
    calls = []
    for call in draft.calls:
        remaining -= tokens_of(call.name)
        if remaining <= 0:
            break
        calls.append(replace(call, arguments=cut_to_tokens(call.arguments, remaining)))
        remaining -= tokens_of(calls[-1].arguments)
    return Draft(content, reasoning, tuple(calls), "length")
