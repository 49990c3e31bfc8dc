"""
What a model answered about recorded minutes: one file for one way of asking, a JSON line for each time it was asked.

A line is on disk before the next question is counted as answered, so whatever is paid for is kept. One process writes.
"""

import fcntl
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from agents.llm.recorded import Cassette
from eventlog.disk.files import expect_no_link, open_plain, open_private, translate_errors
from replay.errors import BadAnswers
from replay.trials.answer import Answer, Arm, to_recorded_minute

FOLDER = "answers"
"""The folder inside that of all runs."""

_LONGEST_LINE = 64 * 1024 * 1024

_Key = tuple[int, int]  # seq of a tick, repeat
_Span = tuple[int, int]  # offset, length


@dataclass(frozen=True)
class Recording:
    """
    The answers of one side as they lie on disk; only where they lie is kept in memory.

    Attributes:
        at: offset and length of the newest whole answer, by tick and repeat. end: where the last whole line ends.
    """

    path: Path
    spans: dict[_Key, _Span]
    incomplete: tuple[_Span, ...]
    end: int

    def missing_repeats(self, ticks: Iterable[int], repeats: int) -> dict[int, list[int]]:
        """For each tick that was not asked about often enough, the repeats that are missing."""
        wanted = {seq: [r for r in range(repeats) if (seq, r) not in self.spans] for seq in ticks}
        return {seq: left for seq, left in wanted.items() if left}

    def answer(self, seq: int, repeat: int) -> Answer:
        """One whole answer."""
        return next(self._read([self.spans[seq, repeat]]))

    def answers(self, ticks: Iterable[int], repeats: Sequence[int]) -> Iterator[Answer]:
        """The whole answers about some ticks, tick by tick."""
        return self._read(self.spans[seq, r] for seq in ticks for r in repeats if (seq, r) in self.spans)

    def all_answers(self) -> Iterator[Answer]:
        """All that was paid for, also what was broken off."""
        return self._read([*self.spans.values(), *self.incomplete])

    def cassette(self, repeat: int) -> Cassette:
        """The answers of one repeat as the recorded analyst reads them."""
        return {
            a.seq: to_recorded_minute(a)
            for a in self._read(place for (_, r), place in self.spans.items() if r == repeat)
        }

    def _read(self, places: Iterable[tuple[int, int]]) -> Iterator[Answer]:
        with translate_errors(self.path), open_plain(self.path) as file:
            for offset, length in places:
                file.seek(offset)
                yield _ANSWER.decode(file.read(length))


def read_cassette(path: Path, repeat: int) -> Cassette:
    """One repeat of a file, for processes that share a replay; nothing is locked."""
    return read_recording(path).cassette(repeat)


def read_recording(path: Path) -> Recording:
    """
    Where the answers of a file lie.

    A last line without an end was being written when a process died: it is left out, with a warning.

    Raises:
        BadAnswers: there is no such file, or a line of it is no answer.
    """
    at: dict[_Key, _Span] = {}
    broken: list[_Span] = []
    end = 0
    try:
        with open_plain(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                if len(line) == _LONGEST_LINE:
                    raise BadAnswers(f"{path}: line {number} is longer than any answer; it was made by other hands")
                if not line.endswith(b"\n"):
                    warnings.warn(f"{path}: line {number} was torn off; that answer is asked again", stacklevel=2)
                    break
                found = _placed(path, number, line)
                if found is not None:
                    _put(at, broken, found.whole, (found.seq, found.repeat), (end, len(line)))
                end += len(line)
    except FileNotFoundError as error:
        raise BadAnswers(f"there are no answers {path}; ask for them with --analyst deepseek") from error
    except OSError as error:
        raise BadAnswers(f"cannot read {path}: {error.strerror}; put the file itself in its place") from error
    return Recording(path, at, tuple(broken), end)


def _put(at: dict[_Key, _Span], broken: list[_Span], whole: bool, key: _Key, place: _Span) -> None:
    """A newer whole answer stands for an older one, whose cost still counts."""
    if not whole:
        broken.append(place)
        return
    if key in at:
        broken.append(at[key])
    at[key] = place


class Answers:
    """
    The answers of one side, open for more; `with` closes it and lets others write.

    Args:
        folder: of all sides; made where it is missing.

    Raises:
        BadAnswers: another process writes them, or the file is not one of answers.
    """

    def __init__(self, folder: Path, side: Arm) -> None:
        self.arm = side
        self.path = folder / f"{side.digest()}.jsonl"
        with translate_errors(folder):
            expect_no_link(folder.parent, folder)
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(open_private(self.path, os.O_WRONLY | os.O_APPEND), "ab")  # closed by `close`
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise BadAnswers(f"another process is asking for {self.path}; wait for it or stop it") from error
        try:
            found = read_recording(self.path)
            self._file.truncate(found.end)
        except BaseException:
            self._file.close()
            raise
        self._spans, self._incomplete, self._end = found.spans, list(found.incomplete), found.end
        if self._end == 0:
            self._write({"side": side, "digest": side.digest()})

    @property
    def recording(self) -> Recording:
        """All there is by now."""
        return Recording(self.path, self._spans, tuple(self._incomplete), self._end)

    def missing_repeats(self, ticks: Iterable[int], repeats: int) -> dict[int, list[int]]:
        """See `Recording.missing`."""
        return self.recording.missing_repeats(ticks, repeats)

    def add(self, answer: Answer) -> None:
        """Store one; it is on disk when this returns."""
        place = self._write(answer)
        _put(self._spans, self._incomplete, answer.whole, (answer.seq, answer.repeat), place)

    def close(self) -> None:
        """Let others write."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, value: Any) -> _Span:
        line = msgspec.json.encode(value) + b"\n"
        with translate_errors(self.path):
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        place = (self._end, len(line))
        self._end += len(line)
        return place


@dataclass(frozen=True, slots=True)
class _Head:
    digest: str


@dataclass(frozen=True, slots=True)
class _Place:
    seq: int
    repeat: int
    whole: bool


_HEAD = msgspec.json.Decoder(_Head)
_PLACE = msgspec.json.Decoder(_Place)
_ANSWER = msgspec.json.Decoder(Answer)


def _placed(path: Path, number: int, line: bytes) -> _Place | None:
    """Where a line belongs, None for the first, which says what the file is about."""
    what = "is no answer" if number > 1 else "does not begin a file of answers of this name"
    refusal = BadAnswers(f"{path}: line {number} {what}; move the file away and ask again")
    try:
        if number > 1:
            return _PLACE.decode(line)
        named = _HEAD.decode(line).digest
    except msgspec.MsgspecError:
        raise refusal from None
    if named != path.stem:
        raise refusal
    return None
