"""
What a log's server is like: whether it keeps what it is given, whatever happens, and how much room it has.

Source: the INFO and CONFIG commands of Redis 7.2 and Valkey 9.1.
"""

from contextlib import suppress
from typing import Any

import msgspec
import redis

from eventlog.store.hot import translate_errors

_LITTLE_ROOM = 0.85
_MAX_VALUE = 80


class ServerFacts(msgspec.Struct, frozen=True):
    """
    A server as it describes itself.

    Attributes:
        software: name and version. role: master, or slave for a replica.
        policy: what it does when memory runs out. evicted: how many keys it has thrown away to make room.
        max_bytes: what it may hold at most, 0 for no limit. used_bytes: what it holds.
        persistence: `append-only file, fsync always`, `snapshots`, `none`; fsync is unknown where it does not say.
    """

    software: str
    role: str
    policy: str
    evicted: int
    max_bytes: int
    used_bytes: int
    persistence: str

    @property
    def refusal(self) -> str | None:
        """Why no log may be kept on it; None where one may."""
        if self.policy.startswith("allkeys"):
            return (
                f"the Redis server throws away what it was given when memory runs out: its maxmemory-policy is "
                f"{self.policy}; CONFIG SET maxmemory-policy noeviction, and in its configuration file"
            )
        if self.role == "slave":
            return "the Redis server is a replica; name the primary in redis.url"
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know and may want to change."""
        found = []
        if not self.persistence.startswith("append-only"):
            found.append(
                f"the Redis server keeps no append-only file (persistence: {self.persistence}): what is not archived "
                "yet is lost when it ends; set appendonly yes"
            )
        elif "everysec" in self.persistence or "fsync no" in self.persistence:
            found.append(f"the Redis server may lose its last second in a power cut ({self.persistence})")
        if self.max_bytes and self.used_bytes > _LITTLE_ROOM * self.max_bytes:
            found.append(
                f"the Redis server holds {self.used_bytes:,} of {self.max_bytes:,} bytes; raise maxmemory, or archive "
                "more often"
            )
        if self.evicted:
            found.append(f"the Redis server has thrown away {self.evicted:,} keys to make room")
        return tuple(found)


def read_facts(client: redis.Redis) -> ServerFacts:
    """
    Ask a server what it is like.

    Raises:
        StoreUnavailable: it does not answer. EventLogError: it refuses.
    """
    with translate_errors():
        about: dict[str, Any] = client.info()
    fsync = "unknown"
    with suppress(redis.RedisError):  # who may not ask for it, or finds the command renamed
        fsync = str(client.config_get("appendfsync").get("appendfsync", fsync))
    saves = about.get("rdb_last_save_time") and about.get("rdb_last_bgsave_time_sec", -1) != -1
    kept = f"append-only file, fsync {fsync}" if about.get("aof_enabled") else "snapshots" if saves else "none"
    name = "Valkey" if "valkey_version" in about else "Redis"
    version = about.get("valkey_version") or about.get("redis_version") or "unknown"
    return ServerFacts(
        software=f"{name} {version}"[:_MAX_VALUE],
        role=str(about.get("role", "unknown"))[:_MAX_VALUE],
        policy=str(about.get("maxmemory_policy", "unknown"))[:_MAX_VALUE],
        evicted=_count(about.get("evicted_keys")),
        max_bytes=_count(about.get("maxmemory")),
        used_bytes=_count(about.get("used_memory")),
        persistence=kept,
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
