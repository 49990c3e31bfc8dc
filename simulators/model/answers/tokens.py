"""
How many tokens a text is, and which of them a provider would have in its prefix cache.

A token is taken to be four bytes of UTF-8, rounded up a text: an approximation, the same for every language. The
cache holds prefixes in units of 64 tokens, so 256 bytes, each known by everything before it.
"""

from collections import OrderedDict
from hashlib import blake2b

import msgspec

from agents.llm.wire.api import Request

BYTES_A_TOKEN = 4
UNIT_TOKENS = 64
_UNIT_BYTES = UNIT_TOKENS * BYTES_A_TOKEN


def tokens_of(text: str) -> int:
    """How many tokens a text is taken to be."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_A_TOKEN)


def cut_to_tokens(text: str, tokens: int) -> str:
    """The beginning of a text that is at most so many tokens, whole characters only."""
    return text.encode("utf-8", "surrogatepass")[: max(0, tokens) * BYTES_A_TOKEN].decode("utf-8", "ignore")


def prompt_of(request: Request) -> bytes:
    """What the model reads of a request, in the order in which it reads it: tools, then messages."""
    return msgspec.json.encode([request.get("tools") or [], *request["messages"]])


def prompt_tokens(prompt: bytes) -> int:
    """How many tokens a prompt is taken to be."""
    return -(-len(prompt) // BYTES_A_TOKEN)


class PrefixCache:
    """
    The prefixes of earlier prompts, the least used forgotten first.

    Args:
        most_units: how many units of 64 tokens are held, over all owners.
    """

    def __init__(self, most_units: int = 200_000) -> None:
        self._most = most_units
        self._units: OrderedDict[bytes, None] = OrderedDict()

    def hit_tokens(self, owner: bytes, prompt: bytes) -> int:
        """
        Tokens of a prompt that the owner's earlier prompts began with; it is remembered from now on.

        Args:
            owner: whose prompts may share, e.g. a digest of a key.
        """
        chain, hits, matching = blake2b(owner, digest_size=16).digest(), 0, True
        for start in range(0, len(prompt) - _UNIT_BYTES + 1, _UNIT_BYTES):
            chain = blake2b(chain + prompt[start : start + _UNIT_BYTES], digest_size=16).digest()
            matching = matching and chain in self._units
            hits += matching
            self._units[chain] = None
            self._units.move_to_end(chain)
        while len(self._units) > self._most:
            self._units.popitem(last=False)
        return hits * UNIT_TOKENS
