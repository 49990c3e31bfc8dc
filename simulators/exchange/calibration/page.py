"""
The calibration page: every statistic of the simulated market, of the real day and of the recording, with its band.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from statistics import fmean

from simulators.exchange.calibration.rows import ROWS, Row
from simulators.exchange.calibration.samples import DAY, RECORDINGS, Sample, load_day, load_recording, simulate
from simulators.exchange.market.flow.mechanisms import Mechanisms


@dataclass(frozen=True, slots=True)
class Line:
    """
    A row with its figures; NaN where a sample cannot tell.

    Attributes:
        row: the statistic. simulated: its mean over the simulated markets. day, recording: of the recorded ones.
    """

    row: Row
    simulated: float
    day: float
    recording: float

    @property
    def passes(self) -> bool:
        """Whether the simulated market meets the band."""
        return self.row.passes(self.simulated)


def measure_simulated(
    seeds: Sequence[int], hours: float, mechanisms: Mechanisms | None = None, rows: Sequence[Row] = ROWS
) -> list[float]:
    """
    Measure rows in simulated markets.

    Args:
        seeds: one market each.
        hours: length of each.
        mechanisms: what the markets are made of; None for all.
        rows: what to measure.

    Returns:
        The mean over the markets per row.
    """
    figures = []
    for seed in seeds:
        sample = simulate(seed, hours, mechanisms)
        figures.append([row.measure(sample) for row in rows])
    return [_mean(column) for column in zip(*figures, strict=True)]


def rows_lost(
    mechanism: str, with_all: Sequence[float], seeds: Sequence[int], hours: float
) -> list[tuple[Row, float, float]]:
    """
    Measure what a mechanism makes: the rows that are green with all mechanisms and red without it.

    Args:
        mechanism: a field of `Mechanisms`.
        with_all: a figure per row of `ROWS` of the same markets with all mechanisms.
        seeds: one market each.
        hours: length of each.

    Returns:
        The rows, their figures with all mechanisms and without this one.
    """
    without = measure_simulated(seeds, hours, replace(Mechanisms(), **{mechanism: False}))
    lines = zip(ROWS, with_all, without, strict=True)
    return [(row, before, after) for row, before, after in lines if row.passes(before) and not row.passes(after)]


def build_lines(simulated: Sequence[float], folder: Path) -> list[Line]:
    """
    Put the figures of recorded markets beside those of the simulated one.

    Args:
        simulated: a figure per row of `ROWS`.
        folder: of the recordings; what is not there has no figures.
    """
    day = _measure(load_day(folder)) if (folder / DAY).exists() else [nan] * len(ROWS)
    has_recording = all((folder / name).exists() for name in RECORDINGS)
    recording = _measure(load_recording(folder)) if has_recording else [nan] * len(ROWS)
    return [Line(*figures) for figures in zip(ROWS, simulated, day, recording, strict=True)]


def format_lines(lines: Sequence[Line]) -> list[str]:
    """Format the page for a terminal, a statistic a line; `green` within its band, `red` outside."""
    header = f"{'':<46}{'simulated':>11}{'real day':>10}{'recording':>11}{'band':>18}"
    return [header, *(_format_line(line) for line in lines)]


def format_markdown(lines: Sequence[Line]) -> list[str]:
    """Format the page as a table of Markdown, with the reasons for the bands."""
    table = [
        "| statistic | simulated | real day | recording | band | | reason |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        row = line.row
        figures = " | ".join(_figure(value) for value in (line.simulated, line.day, line.recording))
        verdict = "green" if line.passes else "red"
        name = row.name.replace("|", r"\|")
        band = f"{row.low:.3g} to {row.high:.3g}"
        table.append(f"| {name} | {figures} | {band} | {verdict} | {row.reason} |")
    return table


def _format_line(line: Line) -> str:
    row = line.row
    figures = f"{_figure(line.simulated):>11}{_figure(line.day):>10}{_figure(line.recording):>11}"
    band = f"{row.low:.3g} to {row.high:.3g}"
    return f"{row.name:<46}{figures}{band:>18}  {'green' if line.passes else 'red'}"


def _measure(sample: Sample) -> list[float]:
    return [row.measure(sample) for row in ROWS]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not isnan(value)]
    return fmean(known) if known else nan


def _figure(value: float) -> str:
    return "–" if isnan(value) else f"{value:.3g}"
