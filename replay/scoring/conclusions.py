"""
What a score table proves, in sentences: only what is left after all its p-values are corrected together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from replay.inference.blocks import ALPHA, MIN_BLOCKS
from replay.scoring.figures import ADVERSE_SELECTION, ALL_MODELS, MARTINGALE


def conclusions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    A sentence for each figure that differs from its control after correction; one sentence where none does.

    Args:
        rows: of a score table.
    """
    tested = [row for row in rows if row["p_corrected"] is not None]
    if not tested:
        return [f"nothing is concluded: no figure has the {MIN_BLOCKS} blocks of two hours that an interval needs"]
    proven = [row for row in tested if row["p_corrected"] < ALPHA]
    if not proven:
        return [f"nothing is concluded: of {len(tested)} figures none differs from its control after correction"]
    return [_sentence(row) for row in proven]


def _sentence(row: Mapping[str, Any]) -> str:
    figures = f"{row['advice']:.3f} beside {row['placebo']:.3f} ({row['low']:+.3f} … {row['high']:+.3f}"
    figures += f", p {row['p_corrected']:.3f} corrected)"
    unit = "" if row["unit"] in ("episode", "order", "filled order", "decided episode") else f" beside {row['unit']}"
    under = " under every model of the queue" if row["model"] == ALL_MODELS else ""
    if row["metric"].startswith(ADVERSE_SELECTION) and row["difference"] < 0:
        return f"adverse selection: what fills is followed by losses: a minute after a fill {figures}{under}"
    if row["metric"].startswith(MARTINGALE) and row["difference"] < 0:
        return f"adverse selection: price goes on through zones that it reaches, so orders fill when wrong: {figures}"
    word = "above" if row["difference"] > 0 else "below"
    return f"{row['metric']} is {word} its control{unit}: {figures}{under}"
