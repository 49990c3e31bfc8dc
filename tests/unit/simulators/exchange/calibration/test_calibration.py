"""The simulated market has the statistics of the calibration page, and none that its mechanisms do not make."""

from dataclasses import fields, replace

import pytest

from simulators.exchange.calibration.page import Line, format_lines, format_markdown, measure_simulated, rows_lost
from simulators.exchange.calibration.rows import ROWS
from simulators.exchange.market.flow.mechanisms import Mechanisms

SEEDS, HOURS = range(71, 83), 12.0  # not among those that parameters were fitted on


@pytest.mark.slow
def test_every_statistic_is_within_its_band() -> None:
    """The mean of twelve markets of twelve hours, as the page prints it."""
    figures = measure_simulated(SEEDS, HOURS)
    outside = {row.name for row, value in zip(ROWS, figures, strict=True) if not row.passes(value)}
    assert outside == set()


@pytest.mark.slow
def test_without_any_one_mechanism_a_row_turns_red() -> None:
    """A row that is green with all mechanisms is red without it, one after the other."""
    with_all = measure_simulated((71,), 6.0)
    lost = {field.name: rows_lost(field.name, with_all, (71,), 6.0) for field in fields(Mechanisms)}
    assert [name for name, rows in lost.items() if not rows] == []


def test_the_page_prints_figures_and_verdicts() -> None:
    """A figure within its band is green, one outside red, and one that a sample cannot tell a dash."""
    row = replace(ROWS[0], low=0.0, high=1.0)
    lines = [Line(row, 0.5, 0.25, float("nan")), Line(row, 2.0, 0.25, 0.125)]
    header, good, bad = format_lines(lines)
    assert header.split() == ["simulated", "real", "day", "recording", "band"]
    assert good.endswith("green")
    assert "0.25          –" in good
    assert bad.endswith("red")
    assert format_markdown(lines)[2].startswith(
        "| response to a trade after 1 s, bp | 0.5 | 0.25 | – | 0 to 1 | green |"
    )
