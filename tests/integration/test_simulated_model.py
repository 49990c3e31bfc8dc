"""The simulated model over real sockets, asked by the real client: shapes of both modes, every fault of the wire."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from agents.llm.conversation.tools import DEPTH, FLOW, tool_choice
from agents.llm.wire.api import UnreadableReply, read_reply
from eventlog.clock import ManualClock
from simulators.model.errors import BadScript, PortError
from simulators.model.faults import FAULTS
from simulators.model.model import SimulatedModel
from simulators.model.server import ModelServer
from tests.unit.simulators.model.chats import (
    DEPTH_RESULT,
    MATERIAL,
    answer_turn,
    asks_decision,
    asks_depth,
    chat,
    system,
    tool,
    user,
)

Body = dict[str, Any]

KEY = "sk-never-to-be-seen-4711"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PATH = "/chat/completions"
OFF: Body = {"extra_body": {"thinking": {"type": "disabled"}}}
JSON: Body = {"response_format": {"type": "json_object"}}


@asynccontextmanager
async def serving(*rules: Body, **options: Any) -> AsyncIterator[tuple[ModelServer, aiohttp.ClientSession]]:
    """A server with a script, and a bare client of it."""
    async with (
        ModelServer(**options) as server,
        aiohttp.ClientSession(base_url=server.base_url, headers=HEADERS) as session,
        asyncio.timeout(20),
    ):
        server.set_rules(list(rules))
        yield server, session


@asynccontextmanager
async def client_of(server: ModelServer, path: str = "", key: str = KEY) -> AsyncIterator[openai.AsyncOpenAI]:
    """The real client, without retries."""
    async with openai.AsyncOpenAI(api_key=key, base_url=server.base_url + path, max_retries=0, timeout=10) as client:
        yield client


async def read(session: aiohttp.ClientSession, body: Body, path: str = PATH) -> tuple[int, bytes, Any]:
    """Status, bytes and headers of an answer."""
    async with session.post(path, json=body) as reply:
        return reply.status, await reply.read(), reply.headers


async def hello(client: openai.AsyncOpenAI) -> Any:
    """The reply to the shortest request there is."""
    return await client.chat.completions.create(model="deepseek-flash", messages=[{"role": "user", "content": "Hi"}])


async def drained(reply: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """What arrives of a body, and whether it ended before its end."""
    got = b""
    try:
        async for part in reply.content.iter_any():
            got += part
    except aiohttp.ClientPayloadError:
        return got, True
    return got, False


def echoed(message: Any) -> Any:
    """A message as a client sends it back: all of it."""
    return message.model_dump(exclude_none=True)


async def test_the_staged_mode_through_the_real_client() -> None:
    """Forced call, verdict, decision: the client reads every field, the prefix is cached, the decision is sound."""
    async with serving() as (server, _), client_of(server) as client:
        create: Any = client.chat.completions.create
        opening: Any = [system("You read books. " * 40), user("Look at BTCFDUSD.")]
        tools: Any = [tool()]
        first = await create(
            model="deepseek-flash", messages=opening, tools=tools, tool_choice=tool_choice(DEPTH), **OFF
        )  # fmt: skip
        call = first.choices[0].message.tool_calls[0]
        assert (first.choices[0].finish_reason, call.function.name) == ("tool_calls", DEPTH)
        assert json.loads(call.function.arguments) == {"symbol": "BTCFDUSD"}
        assert (first.model, first.system_fingerprint) == ("deepseek-flash", "fp_simulated_flash_1017")
        more = [*opening, echoed(first.choices[0].message), answer_turn(call.id), user("Your verdict.")]
        second = await create(model="deepseek-flash", messages=more, tools=tools, tool_choice="none", **OFF)
        assert "83412.505" in second.choices[0].message.content
        usage = second.usage
        assert usage.prompt_tokens_details.cached_tokens == usage.prompt_cache_hit_tokens >= 192
        asked: Any = asks_decision()["messages"]
        third = await create(model="deepseek-flash", messages=asked, **JSON, **OFF)
        assert json.loads(third.choices[0].message.content)["reference"] == "83412.50"
        assert third.choices[0].finish_reason == "stop"
        assert [line.agent for line in server.model.ledger.entries] == ["static", "static", "decision"]


async def test_the_compact_mode_thinking_through_the_real_client() -> None:
    """Both tools in one reply, results, decision in the same conversation, reasoning sent back by the client itself."""
    async with serving() as (server, _), client_of(server, "/beta") as client:
        create: Any = client.chat.completions.create
        tools: Any = [tool(strict=True), tool(FLOW, strict=True)]
        opening: Any = [system("你是做市助手。"), user("看一下 BTCFDUSD，然后用 JSON 决定。")]
        first = await create(model="deepseek-v4-pro", messages=opening, tools=tools, **JSON)
        message = first.choices[0].message
        assert [call.function.name for call in message.tool_calls] == [DEPTH, FLOW]
        assert message.reasoning_content.startswith("先查询数据")
        answers = [answer_turn(call.id, DEPTH_RESULT) for call in message.tool_calls or ()]
        later = [*opening, echoed(message), *answers, user(json.dumps(MATERIAL))]
        second = await create(model="deepseek-v4-pro", messages=later, tools=tools, **JSON)
        assert json.loads(second.choices[0].message.content or "")["stance"] == "two_sided"
        dropped = {k: v for k, v in echoed(message).items() if k != "reasoning_content"}
        with pytest.raises(openai.BadRequestError, match="must be passed back to the API"):
            await create(
                model="deepseek-v4-pro", messages=[*opening, dropped, *answers, user("{}")], tools=tools, **JSON
            )
        lines = server.model.ledger.entries
        assert [(line.agent, line.step, line.thinking, line.language) for line in lines[:2]] == [
            ("compact", "call", True, "zh"), ("compact", "decision", True, "zh")]  # fmt: skip
        assert (lines[2].status, lines[2].step) == (400, None)


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("http_400", openai.BadRequestError, 400),
        ("http_401", openai.AuthenticationError, 401),
        ("http_402", openai.APIStatusError, 402),
        ("http_422", openai.UnprocessableEntityError, 422),
        ("http_429", openai.RateLimitError, 429),
        ("http_429_retry_after", openai.RateLimitError, 429),
        ("http_500", openai.InternalServerError, 500),
        ("http_503", openai.InternalServerError, 503),
        ("http_503_retry_after", openai.InternalServerError, 503),
    ],
)
async def test_a_status_becomes_the_clients_error(fault: str, error: type[openai.APIStatusError], status: int) -> None:
    """Each status is raised as the client's own class, with Retry-After only where the fault's name says so."""
    async with serving({"fault": fault}) as (server, _), client_of(server) as client:
        with pytest.raises(error) as raised:
            await hello(client)
    assert raised.value.status_code == status
    assert raised.value.response.headers.get("Retry-After") == ("1" if fault.endswith("retry_after") else None)
    assert KEY not in str(raised.value)


async def test_the_clients_own_retries_are_seen() -> None:
    """A 503 once, then an answer: two lines in the ledger, the second with the client's retry count."""
    async with (
        serving({"fault": "http_503", "times": 1}) as (server, _),
        openai.AsyncOpenAI(api_key=KEY, base_url=server.base_url, max_retries=1) as client,
    ):
        await hello(client)
        lines = server.model.ledger.entries
    assert [(line.status, line.retry, line.faults) for line in lines] == [(503, "0", ("http_503",)), (200, "1", ())]


@pytest.mark.parametrize("fault", ["reset_before_headers", "reset_after_headers", "truncated_body"])
async def test_a_broken_connection_is_one(fault: str) -> None:
    """The bare client and the real one both lose the connection, and the next request is served."""
    async with serving({"fault": fault, "times": 2}) as (server, session), client_of(server) as client:
        with pytest.raises(aiohttp.ClientError):
            await read(session, asks_depth())
        with pytest.raises(openai.APIConnectionError):
            await hello(client)
        assert (await read(session, asks_depth()))[0] == 200


async def test_a_late_reset_comes_after_the_headers() -> None:
    """reset_after_headers lets a client see status 200 first, and then breaks off."""
    async with (
        serving({"fault": "reset_after_headers"}) as (_, session),
        session.post(PATH, json=asks_depth()) as reply,
    ):
        assert reply.status == 200
        with pytest.raises(aiohttp.ClientError):
            await reply.read()


async def test_half_a_body_arrives_before_the_end() -> None:
    """truncated_body announces the whole length and delivers half of it."""
    async with serving({"fault": "truncated_body"}) as (_, session), session.post(PATH, json=asks_depth()) as reply:
        announced = int(reply.headers["Content-Length"])
        got, broken = await drained(reply)
    assert (len(got), broken) == (announced // 2, True)


async def test_broken_bodies_are_what_their_names_say() -> None:
    """A page, ten megabytes, bytes that are no UTF-8, nothing: each with status 200, none but the huge one readable."""
    names = ("html_body", "huge_body", "invalid_utf8", "empty_body")
    async with serving(*({"fault": name, "when": {"nth": at}} for at, name in enumerate(names, 1))) as (_, session):
        got = {name: await read(session, asks_depth()) for name in names}
    assert {status for status, _, _ in got.values()} == {200}
    bodies = {name: body for name, (_, body, _) in got.items()}
    assert bodies["html_body"].startswith(b"<!DOCTYPE html>")
    assert got["html_body"][2]["Content-Type"].startswith("text/html")
    assert len(bodies["huge_body"]) > 10_000_000
    assert read_reply(bodies["huge_body"]).finish_reason == "tool_calls"
    with pytest.raises(UnicodeDecodeError):
        bodies["invalid_utf8"].decode()
    assert bodies["empty_body"] == b""
    for name in ("html_body", "invalid_utf8", "empty_body"):
        with pytest.raises((UnreadableReply, UnicodeDecodeError)):
            read_reply(bodies[name])


async def test_a_slow_first_byte() -> None:
    """Nothing comes for 0.4 s: a read timeout of 0.1 s gives up, a patient client gets the answer."""
    async with serving({"fault": "slow_first_byte", "seconds": 0.4}) as (_, session):
        with pytest.raises(aiohttp.ServerTimeoutError):
            async with session.post(PATH, json=asks_depth(), timeout=aiohttp.ClientTimeout(sock_read=0.1)):
                pass
        start = time.monotonic()
        status, _, _ = await read(session, asks_depth())
    assert (status, time.monotonic() - start >= 0.4) == (200, True)


async def test_blank_lines_stretch_a_read_timeout_but_not_a_deadline() -> None:
    """Lines every 50 ms for 0.6 s: a read timeout of 0.3 s never fires, and the reply after them is read."""
    rule = {"fault": "keep_alive", "seconds": 0.6, "every_s": 0.05}
    async with (
        serving(rule) as (server, _),
        openai.AsyncOpenAI(api_key=KEY, base_url=server.base_url, max_retries=0, timeout=0.3) as client,
    ):
        start = time.monotonic()
        said = await hello(client)
        took = time.monotonic() - start
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hello(client), 0.3)
    assert said.choices[0].finish_reason == "stop"
    assert took >= 0.6


async def test_blank_lines_without_a_reply_end_in_a_lost_connection() -> None:
    """keep_alive_forever hangs up at its end without having said anything."""
    rule = {"fault": "keep_alive_forever", "seconds": 0.2, "every_s": 0.05}
    async with serving(rule) as (_, session), session.post(PATH, json=asks_depth()) as reply:
        got, broken = await drained(reply)
    assert (got.strip(), len(got) >= 3, broken) == (b"", True, True)


async def test_faults_of_all_stages_add_up() -> None:
    """Late, wrong in its decision, fenced, without usage, and ten megabytes, all in one answer."""
    names = ({"fault": "slow_first_byte", "seconds": 0.2}, {"fault": "text_weight"}, {"fault": "fenced"},
             {"fault": "usage_missing"}, {"fault": "huge_body", "bytes": 20_000})  # fmt: skip
    start = time.monotonic()
    async with serving(*names) as (_, session):
        _, body, _ = await read(session, asks_decision())
    reply = json.loads(body)
    assert time.monotonic() - start >= 0.2
    assert "usage" not in reply
    assert len(reply["padding"]) == 20_000
    assert reply["choices"][0]["message"]["content"].startswith("```json")
    assert '"weight": "most"' in reply["choices"][0]["message"]["content"]


async def test_a_status_can_be_late_and_without_a_body() -> None:
    """A 503 after blank lines, and a 500 with nothing in it."""
    rules: list[Body] = [
        {"fault": "http_503", "times": 1},
        {"fault": "keep_alive", "seconds": 0.1, "times": 1},
        {"fault": "http_500", "when": {"nth": 2}},
        {"fault": "empty_body", "when": {"nth": 2}},
    ]
    async with serving(*rules) as (_, session):
        late = await read(session, asks_depth())
        empty = await read(session, asks_depth())
    assert (late[0], json.loads(late[1])["error"]["message"].startswith("Service is too busy")) == (503, True)
    assert (empty[0], empty[1]) == (500, b"")


async def test_every_fault_leaves_the_server_alive() -> None:
    """All faults, one after the other, each followed by a sound answer; all are in the ledger, the key is not."""
    bodies = {"decision": asks_decision(), "thinking": {**asks_decision(), "thinking": None}}
    async with serving() as (server, session):
        for name, fault in FAULTS.items():
            short = {"seconds": 0.1} if "seconds" in fault.parameters else {}
            server.set_rules([{"fault": name, "times": 1, **short}])
            body = bodies.get(fault.where, asks_depth())
            try:
                await read(session, body)
            except aiohttp.ClientError:
                assert fault.stage in ("wire", "delay")
            status, sound, _ = await read(session, body)
            assert (name, status, read_reply(sound).message["role"]) == (name, 200, "assistant")
        async with session.get("/_ledger") as reply:
            ledger = await reply.text()
    told = json.loads(ledger)
    assert told["total"] == told["held"] == 2 * len(FAULTS)
    assert [line["faults"] for line in told["requests"][::2]] == [[name] for name in FAULTS]
    assert KEY not in ledger


async def test_the_ledger_tells_what_was_sent() -> None:
    """Request, status, path, refusal and time, without the key even where the key is refused; DELETE empties it."""
    async with serving(clock=ManualClock(7)) as (server, session):
        await read(session, asks_depth(), "/v1" + PATH)
        await read(session, chat(), "/beta" + PATH)
        async with session.post(PATH, data=b"{", headers={"Authorization": "Bearer bad"}) as reply:
            assert (reply.status, await reply.json()) == (401, {"error": {
                "message": "Authentication Fails, your api key is invalid", "type": "authentication_error",
                "param": None, "code": "invalid_request_error"}})  # fmt: skip
        async with session.post(PATH, data=b"{\xff") as reply:
            assert reply.status == 400
        lines = server.model.ledger.entries
        assert [(line.number, line.at_ns, line.path, line.status, line.refusal) for line in lines] == [
            (1, 7, "/v1/chat/completions", 200, None),
            (2, 7, "/beta/chat/completions", 400, "Empty input messages"),
            (3, 7, "/chat/completions", 401, "Authentication Fails, your api key is invalid"),
            (4, 7, "/chat/completions", 400, "Failed to parse the request body as JSON"),
        ]
        assert lines[0].request == asks_depth()
        async with session.delete("/_ledger"), session.get("/_ledger") as reply:
            assert await reply.json() == {"total": 0, "held": 0, "requests": []}


async def test_no_key_is_refused() -> None:
    """Without the header, with another scheme, and with an empty key: 401 each time."""
    async with serving() as (server, _), aiohttp.ClientSession(base_url=server.base_url) as session:
        seen = []
        for headers in ({}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer  "}):
            async with session.post(PATH, json=asks_depth(), headers=headers) as reply:
                seen.append((reply.status, KEY in await reply.text()))
    assert seen == [(401, False)] * 3


async def test_the_script_is_changed_while_it_runs() -> None:
    """POST replaces the rules, GET counts, DELETE drops them; what cannot be read changes nothing."""
    async with serving() as (server, session):
        async with session.post("/_script", json={"rules": [{"fault": "http_500"}]}) as reply:
            assert await reply.json() == {"rules": 1}
        assert (await read(session, asks_depth()))[0] == 500
        async with session.post("/_script", json=[{"fault": "gremlin"}]) as reply:
            assert (reply.status, "'gremlin'" in await reply.text()) == (400, True)
        async with session.get("/_script") as reply:
            assert await reply.json() == {"rules": [{"fault": "http_500", "seen": 1, "struck": 1}]}
        async with session.delete("/_script") as reply:
            assert reply.status == 200
        assert (await read(session, asks_depth()))[0] == 200
        with pytest.raises(BadScript):
            server.set_rules([{"fault": "gremlin"}])


async def test_latency_and_parallel_requests() -> None:
    """Twenty requests at once, 200 ms each, take far less than one after the other."""
    async with serving(latency_ms=200) as (server, session):
        start = time.monotonic()
        answers = await asyncio.gather(*(read(session, asks_depth()) for _ in range(20)))
        took = time.monotonic() - start
    assert {status for status, _, _ in answers} == {200}
    assert len({json.loads(body)["id"] for _, body, _ in answers}) == 20
    assert 0.2 <= took < 2
    assert [line.number for line in server.model.ledger.entries] == list(range(1, 21))


async def test_only_the_loopback_is_served() -> None:
    """Another address, and a taken port, are refused in one line."""
    with pytest.raises(PortError, match=r"cannot serve on 0\.0\.0\.0: the simulated model is for this machine"):
        await ModelServer(host="0.0.0.0").start()
    async with ModelServer() as server:
        port = int(server.base_url.rpartition(":")[2])
        with pytest.raises(PortError, match="address already in use; choose another port"):
            await ModelServer(port=port).start()


async def test_two_servers_with_one_seed_send_the_same_bytes() -> None:
    """Seed, clock and requests decide every byte."""
    seen = []
    for _ in range(2):
        async with serving(model=SimulatedModel(9, 5.0), clock=ManualClock(10**18)) as (_, session):
            seen.append([(await read(session, body))[1] for body in (asks_depth(), asks_decision(), asks_decision())])
    assert seen[0] == seen[1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_process_serves_until_told_to_stop(tmp_path: Path) -> None:
    """`serve` prints its address, follows its script, and leaves with 0; `--faults` lists; a bad script is one line."""
    script, bad = tmp_path / "script.json", tmp_path / "bad.json"
    script.write_text('[{"fault": "http_402"}]')
    bad.write_text('[{"fault": "gremlin"}]')
    command = [sys.executable, "-m", "simulators.model", "serve"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    serve = [*command, "--port", "0", "--seed", "1", "--latency-ms", "1", "--script", str(script)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline().strip()
            client = openai.OpenAI(api_key=KEY, base_url=line.rpartition(" ")[2], max_retries=0)
            with client, pytest.raises(openai.APIStatusError, match="Insufficient Balance") as raised:
                client.chat.completions.create(model="deepseek-flash", messages=[{"role": "user", "content": "Hi"}])
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert line.startswith("simulated DeepSeek at http://127.0.0.1:")
    assert raised.value.status_code == 402
    listed = subprocess.run([*command, "--faults"], capture_output=True, text=True, env=environment, timeout=60)
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, len(FAULTS))
    failed = subprocess.run(
        [*command, "--script", str(bad)], capture_output=True, text=True, env=environment, timeout=60
    )
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr.startswith("error: rule 1: no fault is called 'gremlin'")
