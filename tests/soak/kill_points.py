"""
The instants at which a process is killed, drawn from a seed, and the side file that says what it was told before.

A point is the n-th write of one site of the collector: before it, with half of it done, after it, or, for what goes to
the log's server, once the server has answered and nobody has read the answer.
"""

import os
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Literal

import msgspec

from eventlog.facts.entry import Entry, Fact

Who = Literal["collector", "server", "both"]
When = Literal["before", "during", "after", "unanswered"]
_HEAD = struct.Struct("<I")

_STORED = {"parquet": 12, "catalogue.json": 4, "reserved.json": 5, "spill.position.json": 8}
SITES: dict[str, int] = {
    **{f"{name} {word}": most for name, most in _STORED.items() for word in ("open", "write", "fsync", "replace")},
    **{f"spill.log {word}": 4 for word in ("open", "ftruncate", "pwrite", "fsync")},
    "spill.log unlink": 2, "spill.position.json unlink": 2, "parquet unlink": 8, "folder fsync": 24,
    "append send": 12, "acknowledged": 12, "take over send": 1, "SCRIPT send": 2, "XTRIM send": 2, "MULTI send": 1,
    "server start": 1, "writer.lock open": 1, "writer.lock ftruncate": 1, "writer.lock pwrite": 1,
    **{f"status.json {word}": 4 for word in ("open", "write", "replace")},
    **{f"metrics.json {word}": 1 for word in ("open", "write", "replace")},
    **{f"spill.log.rest {word}": 1 for word in ("open", "write", "fsync", "replace")},
    "server.lock open": 1, **{f"server.conf {word}": 1 for word in ("open", "write", "replace")},
    **{f"server.password {word}": 1 for word in ("open", "write", "fsync", "replace")},
}  # fmt: skip
"""Everything the collector writes until it ends, and how often at most in two seconds of a life, from trial runs."""
BESIDE_THE_LOG = {"leaving.lock open", "strategy_agent.log open", "strategy_agent.log.lock open"}
"""What it opens when nothing more can be lost, and what it writes for people."""

_AT_START = ("writer.lock", "take over", "server", "SCRIPT")
_ONLY_AT_START = ("writer.lock", "take over", "server.", "spill.log.rest")
_RARE = (*_AT_START, "status.json", "metrics.json", "spill.log.rest")
_FIRST = (*_AT_START, "catalogue.json", "reserved.json", "folder")
_WHEN: tuple[When, ...] = ("before", "during", "after")
_IN_A_LIFE = 5


class Point(msgspec.Struct, frozen=True):
    """
    One kill.

    Attributes:
        nth: which write of the site, counted from the one before on.
        part: of 1, how much of a write in halves is done; also how long things are left to run where time is drawn.
        slow: appends take a quarter of a second while this point is waited for: the queue spills.
        at_once: waited for from the kill before on, not from the first fact stored after it.
        rewrite: the server is told to rewrite its append-only file just before.
        torn: the server died with its last write half in its file.
    """

    who: Who
    site: str
    nth: int
    when: When
    part: float
    slow: bool = False
    at_once: bool = False
    rewrite: bool = False
    torn: bool = False


def drawn_points(who: Who, seed: int, count: int) -> list[Point]:
    """The points of a stage: the first one while a log is created, the others wherever the collector writes."""
    chance = random.Random(f"{who} {seed}")
    often = [name for name in SITES if not name.startswith(_RARE)]
    weighted = 2 * often + 2 * [name for name in SITES if name.startswith(_RARE)] + 8 * ["append send"]
    first = [name for name in SITES if name.startswith(_FIRST)]
    running = [name for name in weighted if not name.startswith(_ONLY_AT_START)]
    points: list[Point] = []
    while len(points) < count:
        starting = len(points) % _IN_A_LIFE == 0 or who != "server"
        site = chance.choice(first if not points else weighted if starting else running)
        if site.startswith("spill.log.rest"):  # only a write that was not finished is moved aside
            points.append(Point(who, "spill.log pwrite", 1, "during", 0.5, slow=True))
        points.append(_drawn(who, site, chance.randint(1, SITES[site]) if points else 1, chance))
    return points[:count]


def drawn_server_points(seed: int, count: int) -> list[str]:
    """Points among the server's own writes, for `traced_server`: two in five while it starts."""
    chance = random.Random(f"traced {seed}")
    most = (15, 30, 60, 90, 90)
    return [f"{chance.randint(1, chance.choice(most))} {chance.choice(('before', 'after'))}" for _ in range(count)]


def lives(points: Sequence[Point]) -> list[list[Point]]:
    """The points of each process: one, unless the process outlives them."""
    parts: list[list[Point]] = []
    for point in points:
        if point.who == "server" and parts and parts[-1][0].who == "server" and len(parts[-1]) < _IN_A_LIFE:
            parts[-1].append(point)
        else:
            parts.append([point])
    return parts


def _drawn(who: Who, site: str, nth: int, chance: random.Random) -> Point:
    sends = site.endswith("send")
    when = chance.choice((*_WHEN, "unanswered", "unanswered")) if sends else chance.choice(_WHEN)
    slow = site.startswith("spill") or chance.random() < 0.3
    at_once = site in ("server start", "SCRIPT send") or (site == "append send" and chance.random() < 0.3)
    torn = site == "append send" and when == "unanswered" and who != "collector" and chance.random() < 0.5
    rewrite = who != "collector" and not torn and chance.random() < 0.2
    return Point(who, site, nth, when, round(chance.random(), 3), slow, at_once, rewrite, torn)


class Life(msgspec.Struct):
    """
    What one process is to do: its settings, its points in order, and where it says what it was told.

    Attributes:
        binary: the program to run as the log's server, the usual one where empty.
        until_reached: a point is waited for until its very write comes; otherwise only for a few seconds.
    """

    config: str
    storage: str
    journal: str
    points: list[Point]
    binary: str = ""
    until_reached: bool = False


class Told(msgspec.Struct, frozen=True):
    """
    One record of a life: what the log's server acknowledged, what the spill did, a point, a site seen first.

    Attributes:
        reached: whether the point's write came, or its time was up first.
    """

    what: Literal["acknowledged", "spilled", "point", "site"]
    entries: list[Entry] = []
    facts: list[Fact] = []
    site: str = ""
    reached: bool = False


class Journal:
    """An append-only file; a record is there whole or, where the process died in it, not at all."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._one_at_a_time = Lock()

    def say(self, told: Told) -> None:
        """Write a record, with one call."""
        data = msgspec.msgpack.encode(told)
        with self._one_at_a_time:
            os.write(self._descriptor, _HEAD.pack(len(data)) + data)


def done_file(journal: Path) -> Path:
    """What is there once a life has no point left."""
    return journal.with_suffix(".done")


def read_journal(path: Path) -> list[Told]:
    """Every whole record of a life."""
    data = path.read_bytes() if path.exists() else b""
    found, at = [], 0
    while at + _HEAD.size <= len(data):
        (length,) = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + length > len(data):
            break
        found.append(msgspec.msgpack.decode(data[at : at + length], type=Told))
        at += length
    return found
