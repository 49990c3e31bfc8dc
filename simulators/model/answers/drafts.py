"""
What the model is about to say, before it is put in the API's shape.
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
        reasoning: what was thought, None where it did not think. finish: the finish_reason.
    """

    content: str = ""
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of the reasoning alone."""
        return tokens_of(self.reasoning or "")

    @property
    def tokens(self) -> int:
        """Tokens of all of it."""
        called = sum(tokens_of(call.name) + tokens_of(call.arguments) for call in self.calls)
        return self.reasoning_tokens + tokens_of(self.content) + called


def cut(draft: Draft, most_tokens: int) -> Draft:
    """
    A draft that ends where its tokens do, its finish_reason then saying so; reasoning counts first, calls last.

    Args:
        most_tokens: reasoning included.
    """
    if draft.tokens <= most_tokens:
        return draft
    left = most_tokens
    reasoning = None if draft.reasoning is None else cut_to_tokens(draft.reasoning, left)
    left -= tokens_of(reasoning or "")
    content = cut_to_tokens(draft.content, left)
    left -= tokens_of(content)
    calls = []
    for call in draft.calls:
        left -= tokens_of(call.name)
        if left <= 0:
            break
        calls.append(replace(call, arguments=cut_to_tokens(call.arguments, left)))
        left -= tokens_of(calls[-1].arguments)
    return Draft(content, reasoning, tuple(calls), "length")
