"""
The hot tail of a log: a Redis stream whose entry ids are `<seq>-0`.

A batch is appended by one server-side script, so it is there whole or not at all, and only by the writer whose epoch
the server holds. After a lost reply the same batch is sent again: what is stored already must be equal to the byte.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, cast
from zlib import crc32

import redis
from redis.exceptions import AuthenticationError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from eventlog.errors import (
    EventLogError,
    Fenced,
    LogBroken,
    StoreFull,
    StoreUnavailable,
    StoreWiped,
    WriterRefused,
    first_line,
)
from eventlog.facts.entry import Entry
from eventlog.names import LogName
from eventlog.server.connections import DEFAULT_TIMEOUT_S, Connections

_APPEND = """
local held = redis.call('HGET', KEYS[2], 'epoch')
if not held then return {'wiped', '0'} end
if held ~= ARGV[1] then return {'fenced', held} end
local first = tonumber(ARGV[2])
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if top then
  local last = tonumber(string.match(top[1], '^%d+'))
  if last >= first then return {'stored', tostring(last)} end
  if last ~= first - 1 and ARGV[3] == 'follows' then return {'hole', tostring(last)} end
elseif ARGV[3] == 'follows' then
  return {'wiped', '0'}
end
local seq = first
for i = 4, #ARGV, 4 do
  redis.call('XADD', KEYS[1], string.format('%.0f-0', seq),
    'kind', ARGV[i], 'recv_ns', ARGV[i+1], 'data', ARGV[i+2], 'crc', ARGV[i+3])
  seq = seq + 1
end
return {'ok', tostring(seq - 1)}
"""

_ACQUIRE_EPOCH = """
local id = redis.call('HGET', KEYS[1], 'log_id')
if id and id ~= ARGV[1] then return {'differs', id} end
if not id then redis.call('HSET', KEYS[1], 'log_id', ARGV[1]) end
local epoch = math.max(tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0'), tonumber(ARGV[2])) + 1
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch))
return {'ok', string.format('%.0f', epoch)}
"""


def connect(
    *,
    url: str | None = None,
    unix_socket: str | None = None,
    password: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> redis.Redis:
    """
    Make one client of a server; it connects on first use.

    Args:
        url: redis://host:port/db, rediss:// or unix://, or None for a Unix socket of our own.
        unix_socket: the path of that socket. password: of its server.
        timeout_s: how long a connection or a command may take, seconds.

    Raises:
        EventLogError: the address cannot be read.
    """
    return Connections(url=url, unix_socket=unix_socket, password=password, timeout_s=timeout_s).connect()


@contextmanager
def translate_errors(key: str = "a key") -> Iterator[None]:
    """
    Turn a client library's error into ours: unavailable, full, or broken.

    Args:
        key: what the command is about, for the message.
    """
    try:
        yield
    except AuthenticationError as error:
        raise StoreUnavailable("the Redis server refuses our password; write the right one into redis.url") from error
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreUnavailable(f"the Redis server does not answer ({first_line(error)}); is it running?") from error
    except OutOfMemoryError as error:
        raise StoreFull("the Redis server is out of memory; raise maxmemory or archive more often") from error
    except ReadOnlyError as error:
        raise StoreUnavailable("the Redis server is read-only; name the primary in redis.url") from error
    except ResponseError as error:
        if str(error).startswith("MISCONF"):
            raise StoreFull("the Redis server cannot write its append-only file; free disk space") from error
        if "WRONGTYPE" in str(error):
            raise EventLogError(
                f"{key} on the Redis server holds something else than ours; remove it, or name another db in redis.url"
            ) from error
        raise EventLogError(f"the Redis server refused a command: {first_line(error)}") from error
    except RedisError as error:
        raise StoreUnavailable(f"the Redis server failed: {first_line(error)}") from error


def refuse_other_storage(name: LogName, server_log_id: str, storage_log_id: str) -> NoReturn:
    """
    Raise the error that server and storage hold different logs.

    Args:
        name: of the log.
        server_log_id, storage_log_id: the log id that each of them holds, for the message.

    Raises:
        WriterRefused: always.
    """
    raise WriterRefused(
        f"{name} on this server belongs to another storage (log id {server_log_id}, here {storage_log_id}); "
        "name the storage it was recorded with, or an empty server"
    )


class HotLog:
    """
    The stream of one log.

    Args:
        client: from `connect`; one client serves one thread.
    """

    def __init__(self, client: redis.Redis, name: LogName) -> None:
        self.client = client
        self.name = name
        self._state_key = f"{name.key}:writer"
        self._append_script = client.register_script(_APPEND)
        self._acquire_script = client.register_script(_ACQUIRE_EPOCH)

    def acquire_epoch(self, log_id: str, min_epoch: int = 0) -> int:
        """
        Become the only writer; every older writer is refused from now on.

        Args:
            log_id: of the log in the storage. min_epoch: the returned epoch is larger.

        Returns:
            The epoch to append under.

        Raises:
            WriterRefused: the server holds a log of another storage.
        """
        with translate_errors(self._state_key):
            status, value = self._acquire_script(keys=[self._state_key], args=[log_id, min_epoch])
        if status == b"differs":
            refuse_other_storage(self.name, value.decode(), log_id)
        return int(value)

    def append(self, entries: Sequence[Entry], epoch: int, follows: bool) -> None:
        """
        Store a batch of consecutive entries, all or none; storing the same batch again changes nothing.

        Args:
            entries: at least one, with consecutive seqs. epoch: from `acquire_epoch`.
            follows: whether the stream must hold the entry before the first; False right after recovery.

        Raises:
            StoreUnavailable: it is unknown whether it is stored: send the same batch again.
            StoreFull, Fenced: not stored.
            StoreWiped: the server lost the log.
            LogBroken: other bytes are stored under these numbers, or the stream ends early.
        """
        args: list[Any] = [epoch, entries[0].seq, "follows" if follows else "starts"]
        for entry in entries:
            args += (entry.kind, entry.recv_ns, entry.data, _checksum(entry))
        with translate_errors(f"{self.name.key} or {self._state_key}"):
            status, value = self._append_script(keys=[self.name.key, self._state_key], args=args)
        if status == b"ok":
            return
        if status == b"stored":
            self._expect_equal(entries, int(value), epoch)
        elif status == b"fenced":
            raise Fenced(f"another writer took over {self.name}; this one stops")
        elif status == b"wiped":
            raise StoreWiped(f"the Redis server lost {self.name}")
        else:
            raise StoreWiped(f"the Redis server lost the end of {self.name}: it stops at seq {int(value)}")

    def _expect_equal(self, entries: Sequence[Entry], last_seq: int, epoch: int) -> None:
        """After a refusal: stored entries must be equal to ours, byte for byte; the remaining ones are appended."""
        on_server = {entry.seq: entry for entry in self.read(entries[0].seq - 1, entries[-1].seq, len(entries))}
        stored_entries = [entry for entry in entries if entry.seq <= last_seq]
        for entry in stored_entries:
            if on_server.get(entry.seq) != entry:
                raise LogBroken(f"{self.name}: seq {entry.seq} holds other bytes; another writer was here")
        if len(stored_entries) < len(entries):
            self.append(entries[len(stored_entries) :], epoch, follows=True)

    def read(self, after_seq: int, until_seq: int | None, count: int) -> list[Entry]:
        """
        Read entries of the stream, in seq order.

        Args:
            after_seq, until_seq: the range, `after_seq` excluded, `until_seq` included; to the end where None.
            count: the largest number of entries.

        Raises:
            StoreUnavailable: the server does not answer. LogBroken: an entry is not as it was stored.
        """
        end = "+" if until_seq is None else f"{until_seq}-0"
        with translate_errors(self.name.key):
            rows = cast(Any, self.client.xrange(self.name.key, min=f"({after_seq}-0", max=end, count=count))
        return [self._entry(row) for row in rows]

    def wait(self, after_seq: int, block_ms: int) -> bool:
        """Wait up to `block_ms` for an entry after a seq; returns whether there is one."""
        with translate_errors(self.name.key):
            return bool(self.client.xread({self.name.key: f"{after_seq}-0"}, count=1, block=block_ms))

    def bounds(self) -> tuple[int, int]:
        """First and last seq in the stream; (0, 0) for an empty one."""
        with translate_errors(self.name.key):
            first = cast(Any, self.client.xrange(self.name.key, count=1))
            last = cast(Any, self.client.xrevrange(self.name.key, count=1))
        return (_seq(first[0]), _seq(last[0])) if first and last else (0, 0)

    def log_id(self) -> str | None:
        """The log id that the server holds, None where it holds no log of this name."""
        with translate_errors(self._state_key):
            value = cast(bytes | None, self.client.hget(self._state_key, "log_id"))
        return None if value is None else value.decode()

    def _entry(self, row: tuple[bytes, dict[bytes, bytes]]) -> Entry:
        """Decode one entry; one without a checksum, from an earlier version, is accepted."""
        seq, fields = _seq(row), row[1]
        try:
            entry = Entry(seq, fields[b"kind"].decode(), int(fields[b"recv_ns"]), fields[b"data"])
            fits = int(fields.get(b"crc", _checksum(entry))) == _checksum(entry)
        except (LookupError, ValueError):
            fits = False
        if not fits:
            raise LogBroken(f"{self.name}: seq {seq} on the Redis server is not as it was stored; is its disk sound?")
        return entry

    def trim(self, keep_from_seq: int) -> None:
        """Drop the entries before a seq; the last entry always stays."""
        with translate_errors(self.name.key):
            self.client.xtrim(self.name.key, minid=f"{keep_from_seq}-0", approximate=False)


def _seq(row: tuple[bytes, dict[bytes, bytes]]) -> int:
    return int(row[0].split(b"-")[0])


def _checksum(entry: Entry) -> int:
    """Over all fields of an entry, as the server's own files hold no checksum."""
    return crc32(entry.data, crc32(f"{entry.seq} {entry.kind} {entry.recv_ns} ".encode()))
