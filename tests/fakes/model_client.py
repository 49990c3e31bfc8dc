"""A model's client without sockets: the simulated model answers in the same process, faults on request."""

import asyncio
from collections.abc import Callable, Mapping

from agents.llm.client.errors import NoReply
from agents.llm.wire.api import Attempt, Reply, Request, digest_of, encode_request, read_reply
from simulators.model.model import IncomingRequest, SimulatedModel


class SimulatedClient:
    """
    See `ModelClient.complete`.

    Args:
        faults: by the number of the request, from 1, what is raised in place of an answer.
        pause_s: how long each answer takes. until_at_once: nobody is answered before so many asked at once.
    """

    def __init__(
        self,
        seed: int = 3,
        faults: Mapping[int, NoReply] | None = None,
        pause_s: float = 0.0,
        until_at_once: int = 0,
    ) -> None:
        self.requests: list[str] = []
        self.at_once = self.most_at_once = 0
        self._model = SimulatedModel(seed)
        self._faults = faults or {}
        self._pause_s = pause_s
        self._until_at_once = until_at_once
        self._enough = asyncio.Event()

    async def complete(self, request: Request, until_ns: int, on_attempt: Callable[[Attempt], None]) -> Reply:
        """Answer, after others had their turn."""
        self.requests.append(digest_of(request))
        number = len(self.requests)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.at_once >= self._until_at_once:
            self._enough.set()
        try:
            await self._enough.wait()
            await asyncio.sleep(self._pause_s)
        finally:
            self.at_once -= 1
        if number in self._faults:
            raise self._faults[number]
        answer, _ = self._model.answer(
            IncomingRequest("/chat/completions", "Bearer key", None, number, encode_request(request))
        )
        reply = read_reply(answer.body)
        body = answer.body.decode()
        on_attempt(Attempt(request, 1, number, 7, "ok", status=200, body=body, reply=reply, charge=reply.usage))
        return reply
