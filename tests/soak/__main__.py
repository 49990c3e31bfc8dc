"""
`python -m tests.soak --seed 1234`: plays one scenario, prints its rules and the judgement; `--until 1300` plays many.
"""

import argparse
import logging
import time
from collections import Counter

import structlog

from tests.soak.playing import Stage, reproduction


def main() -> int:
    """1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Play scenarios of faults.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--until", type=int, help="play every seed up to this one, and print those that fail")
    parser.add_argument("--every", type=int, default=0, help="say how far it is after so many seeds")
    parser.add_argument("--real", action="store_true", help="in real time")
    told = parser.parse_args()
    with Stage() as stage:
        return _many(stage, told) if told.until is not None else _one(stage, told)


def _one(stage: Stage, told: argparse.Namespace) -> int:
    played = stage.play_really([told.seed])[0] if told.real else stage.play(told.seed)
    print("\n".join(played.story()))
    print(f"seed {told.seed}: {played.summary()}")
    return int(bool(played.verdict.wrong))


def _many(stage: Stage, told: argparse.Namespace) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    failed, struck, started = 0, Counter[str](), time.process_time()
    for count, seed in enumerate(range(told.seed, told.until + 1), 1):
        played = stage.play_really([seed])[0] if told.real else stage.play(seed)
        struck.update(played.struck)
        if played.verdict.wrong:
            failed += 1
            print(f"seed {seed}: {played.summary()}; once more: {reproduction(seed)}", flush=True)
        if told.every and count % told.every == 0:
            cost_s = (time.process_time() - started) / count
            print(f"{count} of {told.until + 1 - told.seed}, {failed} failed, {cost_s:.2f} s CPU each", flush=True)
    print("struck " + ", ".join(f"{count} {name}" for name, count in struck.most_common()))
    print(f"played {told.until + 1 - told.seed}, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
