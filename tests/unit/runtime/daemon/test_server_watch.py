"""What is told of a log's server: once, by name, and again when it is back."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError
from structlog.testing import capture_logs

from runtime.daemon.server_watch import ServerWatch

SOUND = {
    "valkey_version": "9.1.2", "role": "master", "maxmemory_policy": "noeviction", "evicted_keys": 0, "maxmemory": 0,
    "used_memory": 1_000, "aof_enabled": 1,
}  # fmt: skip


class Server:
    """A server that says of itself what it is told to say."""

    def __init__(self) -> None:
        self.about: dict[str, Any] | Exception = dict(SOUND)

    def info(self) -> dict[str, Any]:
        """What it is like."""
        if isinstance(self.about, Exception):
            raise self.about
        return self.about

    def config_get(self, name: str) -> dict[str, str]:
        """How it writes."""
        return {name: "always"}


@pytest.fixture
def server() -> Server:
    """A sound one."""
    return Server()


def test_nothing_is_known_before_the_first_answer(server: Server) -> None:
    """Nor said of a server that never answered: whoever wants to write to it says that."""
    server.about = RedisConnectionError("refused")
    watch = ServerWatch(lambda: server)
    with capture_logs() as logs:
        watch.poll()
    assert (watch.status(), logs) == (None, [])


def test_a_sound_server_is_described_once(server: Server) -> None:
    """Without a problem."""
    watch = ServerWatch(lambda: server)
    with capture_logs() as logs:
        watch.poll()
        watch.poll()
    assert [line["event"] for line in logs] == ["log server"]
    status = watch.status()
    assert status is not None
    assert (status["answers"], status["problem"], status["persistence"]) == (True, "", "append-only file, fsync always")


def test_one_that_goes_away_and_comes_back_is_told_each_time(server: Server) -> None:
    """In the log once, in the status as long as it lasts."""
    watch = ServerWatch(lambda: server)
    with capture_logs() as logs:
        watch.poll()
        server.about = RedisConnectionError("refused")
        watch.poll()
        watch.poll()
        assert (watch.status() or {})["answers"] is False
        server.about = SOUND
        watch.poll()
    assert [line["event"] for line in logs[1:]] == ["log server does not answer", "log server answers again"]
    assert (watch.status() or {})["answers"] is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "its maxmemory-policy is allkeys-lru; CONFIG SET"),
        ({"role": "slave"}, "is a replica; name the primary in redis.url"),
        ({"aof_enabled": 0}, "keeps no append-only file (persistence: none)"),
        ({"maxmemory": 1_100}, "holds 1,000 of 1,100 bytes; raise maxmemory"),
        ({"evicted_keys": 12}, "has thrown away 12 keys to make room"),
    ],
)
def test_what_is_changed_while_it_runs_is_told_once(server: Server, change: dict[str, Any], words: str) -> None:
    """And stays in the status."""
    watch = ServerWatch(lambda: server)
    watch.poll()
    server.about = {**SOUND, **change}
    with capture_logs() as logs:
        watch.poll()
        watch.poll()
    assert [line["log_level"] for line in logs] == ["warning"]
    assert words in logs[0]["event"]
    assert words in (watch.status() or {})["problem"]


def test_one_that_does_not_let_us_ask_is_told_once(server: Server) -> None:
    """It is believed to be sound."""
    server.about = NoPermissionError("no permission to run 'info'")
    watch = ServerWatch(lambda: server)
    with capture_logs() as logs:
        watch.poll()
        watch.poll()
    assert len(logs) == 1
    assert "does not say what it is like" in logs[0]["event"]
