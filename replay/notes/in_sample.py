"""
Days on which what is scored was chosen or fitted: figures of them are in sample, and better than what is to come.
"""

from analysis.parameters import CHOSEN_ON
from market.timestamps import DAY_NS, day_of
from runtime.analysis_config import AnalysisConfig


def in_sample_notes(
    config: AnalysisConfig, market: str, first_ns: int, last_ns: int, own_zones: bool = False
) -> list[str]:
    """
    The notes of a run or trial about days on which its thresholds were chosen, or its probabilities fitted.

    A threshold is in sample on its day whatever the market: markets move together.

    Args:
        config: the thresholds, and the days that the settings name.
        market: as in "binance:BTCFDUSD".
        first_ns, last_ns: boundaries of the first and last tick that is scored.
        own_zones: whether zones of a file are scored, to which no shipped threshold and no fit contributes.
    """
    scored_days = days_between(first_ns, last_ns)
    chosen_on = config.chosen_on if own_zones else (*CHOSEN_ON, *config.chosen_on)
    common = sorted(scored_days & set(chosen_on))
    notes = [f"in sample: thresholds were chosen on {', '.join(common)}"] if common else []
    if own_zones:
        return notes
    confidence = config.parameters.confidence
    for name, fit in (("pull probability", config.parameters.pull), (confidence.word, confidence)):
        periods = fit.periods_within(market, first_ns, last_ns)
        notes += [f"in sample: {name} was fitted on {', '.join(periods)}"] if periods else []
    return notes


def days_between(first_ns: int, last_ns: int) -> set[str]:
    """
    The UTC days of ticks from one boundary to another; a boundary at midnight ends the day before.

    >>> sorted(days_between(60 * 10**9, DAY_NS))
    ['1970-01-01']
    """
    return {day_of(day * DAY_NS) for day in range((first_ns - 1) // DAY_NS, (last_ns - 1) // DAY_NS + 1)}
