"""What two streams of the same trades lack of each other."""

import random

from exchanges.binance.recordings.recording_streams import TradeStreams


def test_single_trades_without_their_aggregate_are_counted_wherever_they_lie() -> None:
    """Before, behind and in a pause of the other stream; as a plain set finds them, in whatever order they came."""
    for seed in range(40):
        dice = random.Random(seed)
        parts, at = [], dice.randrange(1, 9)
        for _ in range(dice.randrange(1, 30)):
            parts.append((at, at + dice.randrange(3)))
            at = parts[-1][1] + (1 if dice.random() < 0.8 else dice.randrange(2, 20))
        singles = [number for number in range(1, at + 5) if dice.random() < 0.9]
        if seed % 3 == 0:
            dice.shuffle(parts)
        streams = TradeStreams()
        for part in parts:
            streams.add_aggregate(part)
        for number in singles:
            streams.add_single(number, 0)
        lines = {number for first, last in parts for number in range(first, last + 1)}
        assert streams.single_count == len(set(singles) - lines), seed


def test_where_nothing_was_aggregated_no_single_trade_is_alone() -> None:
    """There is nothing to lack."""
    streams = TradeStreams()
    streams.add_single(1, 0)
    assert streams.single_count == 0
