"""
The properties of a log's server: role, eviction policy, persistence and memory.

Source: the INFO and CONFIG commands of Redis 7.2 and Valkey 9.1.
"""

from contextlib import suppress
from typing import Any

import msgspec
import redis

from eventlog.store.hot import translate_errors

_MEMORY_WARNING_SHARE = 0.85  # of maxmemory
_MAX_VALUE = 80  # characters of a text from the server


class ServerFacts(msgspec.Struct, frozen=True):
    """
    What a server says about itself.

    Attributes:
        software: name and version. role: master, or slave for a replica.
        policy: its maxmemory-policy. evicted: number of keys that it evicted.
        max_bytes: its maxmemory, 0 for no limit. used_bytes: memory in use.
        persistence: `append-only file, fsync always`, `snapshots`, `none`; fsync is unknown where CONFIG is refused.
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
        """Why no log may be stored on it; None where one may."""
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
        """Messages about settings and states that the user may want to change."""
        messages = []
        if not self.persistence.startswith("append-only"):
            messages.append(
                f"the Redis server keeps no append-only file (persistence: {self.persistence}): what is not archived "
                "yet is lost when it ends; set appendonly yes"
            )
        elif "everysec" in self.persistence or "fsync no" in self.persistence:
            messages.append(f"the Redis server may lose its last second in a power cut ({self.persistence})")
        if self.max_bytes and self.used_bytes > _MEMORY_WARNING_SHARE * self.max_bytes:
            messages.append(
                f"the Redis server holds {self.used_bytes:,} of {self.max_bytes:,} bytes; raise maxmemory, or archive "
                "more often"
            )
        if self.evicted:
            messages.append(f"the Redis server has thrown away {self.evicted:,} keys to make room")
        return tuple(messages)


def read_facts(client: redis.Redis) -> ServerFacts:
    """
    Read the properties of a server.

    Raises:
        StoreUnavailable: it does not answer. EventLogError: it refuses.
    """
    with translate_errors():
        info: dict[str, Any] = client.info()
    fsync = "unknown"
    with suppress(redis.RedisError):  # CONFIG is not allowed, or renamed
        fsync = str(client.config_get("appendfsync").get("appendfsync", fsync))
    saves = info.get("rdb_last_save_time") and info.get("rdb_last_bgsave_time_sec", -1) != -1
    persistence = f"append-only file, fsync {fsync}" if info.get("aof_enabled") else "snapshots" if saves else "none"
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version") or "unknown"
    return ServerFacts(
        software=f"{name} {version}"[:_MAX_VALUE],
        role=str(info.get("role", "unknown"))[:_MAX_VALUE],
        policy=str(info.get("maxmemory_policy", "unknown"))[:_MAX_VALUE],
        evicted=_count(info.get("evicted_keys")),
        max_bytes=_count(info.get("maxmemory")),
        used_bytes=_count(info.get("used_memory")),
        persistence=persistence,
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
