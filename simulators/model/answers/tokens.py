"""
The number of tokens of a text, and of those that a provider would have in its prefix cache.

A token counts as four bytes of UTF-8, rounded up per text: an approximation, the same for every language. The cache
holds prefixes in units of 64 tokens (256 bytes); a unit is identified by the digest of it and all before it.
"""

from collections import OrderedDict
from hashlib import blake2b

import msgspec

from agents.llm.wire.api import Request

BYTES_PER_TOKEN = 4  # a rule of thumb for English and JSON: nothing here depends on the exact count
UNIT_TOKENS = 64  # the server caches prompts in blocks of so many
_UNIT_BYTES = UNIT_TOKENS * BYTES_PER_TOKEN


def tokens_of(text: str) -> int:
    """Approximate number of tokens of a text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def cut_to_tokens(text: str, tokens: int) -> str:
    """The beginning of a text, at most that many tokens, without a partial character at its end."""
    return text.encode("utf-8", "surrogatepass")[: max(0, tokens) * BYTES_PER_TOKEN].decode("utf-8", "ignore")


def prompt_of(request: Request) -> bytes:
    """The prompt of a request as JSON: tools, then messages."""
    return msgspec.json.encode([request.get("tools") or [], *request["messages"]])


def prompt_tokens(prompt: bytes) -> int:
    """Approximate number of tokens of a prompt."""
    return -(-len(prompt) // BYTES_PER_TOKEN)


class PrefixCache:
    """
    The prefixes of earlier prompts; over its limit it drops those that were used least recently.

    Args:
        max_units: number of units of 64 tokens that it holds, over all owners.
    """

    def __init__(self, max_units: int = 200_000) -> None:
        self._max_units = max_units
        self._units: OrderedDict[bytes, None] = OrderedDict()

    def hit_tokens(self, owner: bytes, prompt: bytes) -> int:
        """
        Number of tokens of a prompt that are in the cache; the prompt is added to it.

        Args:
            owner: prompts of one owner share prefixes, e.g. a digest of the API key.
            prompt: the bytes of `prompt_of`.
        """
        chain, hits, matching = blake2b(owner, digest_size=16).digest(), 0, True
        for start in range(0, len(prompt) - _UNIT_BYTES + 1, _UNIT_BYTES):
            chain = blake2b(chain + prompt[start : start + _UNIT_BYTES], digest_size=16).digest()
            matching = matching and chain in self._units
            hits += matching
            self._units[chain] = None
            self._units.move_to_end(chain)
        while len(self._units) > self._max_units:
            self._units.popitem(last=False)
        return hits * UNIT_TOKENS
