"""
The decisions of a stretch of log, computed by one process or by several, with the same result.
"""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from agents.rules import RulesAnalyst
from analysis.render.view_json import render_view
from eventlog.facts.capture import TICK
from eventlog.store.log import Log
from market.arrays import I64
from runtime.analysis_config import AnalysisConfig
from runtime.analysts import MakeAnalyst
from runtime.decide import Decider, TickDecision
from runtime.loop import ticks_of
from runtime.open_log import OpenLog
from runtime.warm_up import read_with_warm_up, state_of

_LEVELS = ("poc", "wall")  # what a baseline stands at


@dataclass(frozen=True, slots=True)
class Decision:
    """
    One tick's decision as bytes, which two runs compare.

    Attributes:
        seq: of the tick in the market log. boundary_ns: the end of its minute.
        reference_e8: the price, None without one. sigma: relative to the price, None where it cannot be measured.
        analysis_digest: of the view that was analysed. stance, zones: of the advice; zones is their number.
        advice: rendered; None where none was given.
        levels: kind and price, 1e-8 quote, of points of control and walls.
    """

    seq: int
    boundary_ns: int
    reference_e8: int | None
    sigma: float | None
    analysis_digest: str
    stance: str | None
    zones: int
    advice: bytes | None
    levels: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ticks:
    """The ticks of a log between two boundaries, in seq order."""

    seq: I64
    boundary_ns: I64
    recv_ns: I64

    def __len__(self) -> int:
        return len(self.seq)


def ticks_between(log: Log, from_ns: int, to_ns: int) -> Ticks:
    """
    The ticks of a log whose boundary lies in a stretch of time.

    Args:
        log: the market log.
        from_ns: boundaries after this count.
        to_ns: boundaries up to this, included, count.
    """
    columns: list[tuple[I64, I64, I64]] = []
    for batch in log.read(kinds=[TICK], columns={TICK: ("boundary_ns", "recv_ns")}):
        rows = batch.rows.get(TICK)
        if rows is not None:
            in_range = (rows["boundary_ns"] > from_ns) & (rows["boundary_ns"] <= to_ns)
            columns.append((rows["seq"][in_range], rows["boundary_ns"][in_range], rows["recv_ns"][in_range]))
    empty = np.empty(0, np.int64)
    return Ticks(*(np.concatenate(c) if c else empty for c in (zip(*columns, strict=True) if columns else [[]] * 3)))


def decide_all(
    open_log: OpenLog,
    ticks: Ticks,
    config: AnalysisConfig,
    workers: int,
    on_progress: Callable[[int], None],
    make_analyst: MakeAnalyst = RulesAnalyst,
) -> Iterator[Decision]:
    """
    The decision of every tick, in order.

    Args:
        open_log: opens the log; called once in every worker process, so it must be picklable where workers > 1.
        ticks: the ticks to decide at, in seq order.
        config: the symbol, windows and thresholds to decide with.
        workers: number of processes that share the ticks. Each starts a warm-up before its first tick, which is all
            the past a state can depend on.
        on_progress: called with 1 for each decision.
        make_analyst: makes the analyst that decides, from the thresholds; picklable like `open_log`.
    """
    if workers <= 1 or len(ticks) < 2 * workers:
        with open_log() as log:
            yield from _decide_stretch(log, ticks, config, on_progress, make_analyst)
        return
    parts = np.array_split(np.arange(len(ticks)), workers)
    stretches = [Ticks(ticks.seq[p], ticks.boundary_ns[p], ticks.recv_ns[p]) for p in parts]
    with TemporaryDirectory() as folder, ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        files = [Path(folder) / str(n) for n in range(workers)]
        futures = [
            pool.submit(_in_worker, open_log, stretch, config, make_analyst, file)
            for stretch, file in zip(stretches, files, strict=True)
        ]
        for future, file, part in zip(futures, files, stretches, strict=True):
            future.result()
            with file.open("rb") as decided:
                for _ in range(len(part)):
                    yield pickle.load(decided)
                    on_progress(1)
            file.unlink()


def decision_of(outcome: TickDecision) -> Decision:
    """Turn a decision into bytes."""
    view, advice = outcome.view, outcome.advice
    return Decision(
        seq=outcome.tick.seq,
        boundary_ns=outcome.tick.boundary_ns,
        reference_e8=view.reference_e8,
        sigma=view.sigma,
        analysis_digest=blake2b(render_view(view), digest_size=16).hexdigest(),
        stance=advice.stance if advice else None,
        zones=len(advice.zones) if advice else 0,
        advice=advice.render() if advice else None,
        levels=tuple((e.basis, e.price_e8) for e in view.evidence if e.basis in _LEVELS),
    )


def _in_worker(open_log: OpenLog, ticks: Ticks, config: AnalysisConfig, make_analyst: MakeAnalyst, file: Path) -> None:
    """Decide a stretch, into a file: a month of decisions is more than two processes should remember."""
    with open_log() as log, file.open("wb") as out:
        for decision in _decide_stretch(log, ticks, config, lambda _: None, make_analyst):
            pickle.dump(decision, out)


def _decide_stretch(
    log: Log, ticks: Ticks, config: AnalysisConfig, on_progress: Callable[[int], None], make_analyst: MakeAnalyst
) -> Iterator[Decision]:
    if len(ticks) == 0:
        return
    state = state_of(log, config.windows)
    decider = Decider(config.symbol, state, make_analyst(config.parameters), config.parameters)
    first, last = int(ticks.seq[0]), int(ticks.seq[-1])
    for tick in ticks_of(read_with_warm_up(log, int(ticks.boundary_ns[0]), last, config.windows), state):
        if first <= tick.seq <= last:
            yield decision_of(decider.decide(tick, state))
            on_progress(1)
