"""
The file of a model's answers about recorded minutes: one file for each arm, one JSON line for each answer.

An answer counts once its line is on disk, so that no paid answer is lost. One process writes.
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

_MAX_LINE = 64 * 1024 * 1024  # bytes, far beyond any answer: bounds the memory for a file from elsewhere

_Key = tuple[int, int]  # seq of a tick, repeat
_Span = tuple[int, int]  # offset, length


@dataclass(frozen=True)
class Recording:
    """
    The answers of one arm on disk; memory holds only their positions.

    Attributes:
        spans: offset and length of the newest complete answer, by tick and repeat.
        incomplete: of aborted answers, and of complete ones that a newer one replaces: their cost still counts.
        end: the offset at which the last complete line ends.
    """

    path: Path
    spans: dict[_Key, _Span]
    incomplete: tuple[_Span, ...]
    end: int

    def missing_repeats(self, ticks: Iterable[int], repeats: int) -> dict[int, list[int]]:
        """The missing repeats of each tick that has fewer than a number of them, by seq."""
        missing = {seq: [r for r in range(repeats) if (seq, r) not in self.spans] for seq in ticks}
        return {seq: repeats_left for seq, repeats_left in missing.items() if repeats_left}

    def answer(self, seq: int, repeat: int) -> Answer:
        """One complete answer; KeyError where there is none."""
        return next(self._read([self.spans[seq, repeat]]))

    def answers(self, ticks: Iterable[int], repeats: Sequence[int]) -> Iterator[Answer]:
        """The complete answers about some ticks, in the order of ticks, then of repeats."""
        return self._read(self.spans[seq, r] for seq in ticks for r in repeats if (seq, r) in self.spans)

    def all_answers(self) -> Iterator[Answer]:
        """All answers that were paid for, aborted ones included."""
        return self._read([*self.spans.values(), *self.incomplete])

    def cassette(self, repeat: int) -> Cassette:
        """The answers of one repeat, for the recorded analyst."""
        return {
            a.seq: to_recorded_minute(a) for a in self._read(span for (_, r), span in self.spans.items() if r == repeat)
        }

    def _read(self, spans: Iterable[tuple[int, int]]) -> Iterator[Answer]:
        with translate_errors(self.path), open_plain(self.path) as file:
            for offset, length in spans:
                file.seek(offset)
                yield _ANSWER.decode(file.read(length))


def read_cassette(path: Path, repeat: int) -> Cassette:
    """Read one repeat of a file, for processes that share a replay; nothing is locked."""
    return read_recording(path).cassette(repeat)


def read_recording(path: Path) -> Recording:
    """
    Read the positions of a file's answers.

    A last line without an end was being written when a process died: it is ignored, with a warning.

    Raises:
        BadAnswers: there is no such file, or a line of it is no answer.
    """
    spans: dict[_Key, _Span] = {}
    incomplete: list[_Span] = []
    end = 0
    try:
        with open_plain(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), start=1):
                if len(line) == _MAX_LINE:
                    raise BadAnswers(f"{path}: line {number} is longer than any answer; this program did not write it")
                if not line.endswith(b"\n"):
                    warnings.warn(f"{path}: line {number} is incomplete; that answer is asked again", stacklevel=2)
                    break
                position = _parse_position(path, number, line)
                if position is not None:
                    _add_span(spans, incomplete, position.whole, (position.seq, position.repeat), (end, len(line)))
                end += len(line)
    except FileNotFoundError as error:
        raise BadAnswers(f"there are no answers {path}; ask for them with --analyst deepseek") from error
    except OSError as error:
        raise BadAnswers(f"cannot read {path}: {error.strerror}; put the file itself in its place") from error
    return Recording(path, spans, tuple(incomplete), end)


def _add_span(spans: dict[_Key, _Span], incomplete: list[_Span], is_complete: bool, key: _Key, span: _Span) -> None:
    """A newer complete answer replaces an older one, whose cost still counts."""
    if not is_complete:
        incomplete.append(span)
        return
    if key in spans:
        incomplete.append(spans[key])
    spans[key] = span


class Answers:
    """
    The answers of one arm, open for writing; `with` closes the file, and others may write.

    Args:
        folder: of all arms; created where it is missing.
        arm: whose answers they are.

    Raises:
        BadAnswers: another process writes them, or the file is not one of answers.
    """

    def __init__(self, folder: Path, arm: Arm) -> None:
        self.arm = arm
        self.path = folder / f"{arm.digest()}.jsonl"
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
            recording = read_recording(self.path)
            self._file.truncate(recording.end)
        except BaseException:
            self._file.close()
            raise
        self._spans, self._incomplete, self._end = recording.spans, list(recording.incomplete), recording.end
        if self._end == 0:
            self._write({"side": arm, "digest": arm.digest()})

    @property
    def recording(self) -> Recording:
        """The answers stored so far."""
        return Recording(self.path, self._spans, tuple(self._incomplete), self._end)

    def missing_repeats(self, ticks: Iterable[int], repeats: int) -> dict[int, list[int]]:
        """See `Recording.missing`."""
        return self.recording.missing_repeats(ticks, repeats)

    def add(self, answer: Answer) -> None:
        """Store one answer; it is on disk when this returns."""
        span = self._write(answer)
        _add_span(self._spans, self._incomplete, answer.whole, (answer.seq, answer.repeat), span)

    def close(self) -> None:
        """Close the file; others may write it then."""
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
        span = (self._end, len(line))
        self._end += len(line)
        return span


@dataclass(frozen=True, slots=True)
class _Head:
    digest: str


@dataclass(frozen=True, slots=True)
class _Position:
    seq: int
    repeat: int
    whole: bool


_HEAD = msgspec.json.Decoder(_Head)
_POSITION = msgspec.json.Decoder(_Position)
_ANSWER = msgspec.json.Decoder(Answer)


def _parse_position(path: Path, number: int, line: bytes) -> _Position | None:
    """The tick and repeat of a line's answer; None for the first line, which is the header."""
    problem = "is no answer" if number > 1 else "does not begin a file of answers of this name"
    refusal = BadAnswers(f"{path}: line {number} {problem}; move the file away and ask again")
    try:
        if number > 1:
            return _POSITION.decode(line)
        digest = _HEAD.decode(line).digest
    except msgspec.MsgspecError:
        raise refusal from None
    if digest != path.stem:
        raise refusal
    return None
