"""What a table proves is said in sentences, and nothing more."""

from typing import Any

from replay.scoring.conclusions import conclusions
from replay.scoring.figures import ADVERSE_SELECTION, ALL_MODELS, MARTINGALE


def a_row(
    metric: str, difference: float, p: float | None, unit: str = "order", model: str | None = None
) -> dict[str, Any]:
    return {
        "metric": metric, "unit": unit, "model": model, "advice": difference, "placebo": 0.0, "difference": difference,
        "low": difference - 0.1, "high": difference + 0.1, "p_corrected": p,
    }  # fmt: skip


def test_only_what_correction_leaves() -> None:
    """A corrected p of 0.05 proves nothing; below it the direction, the figures and the models are named."""
    rows = [
        a_row("rejected", 0.2, 0.05, "episode"),
        a_row("rejected_martingale", 0.21, 0.01, "episode"),
        a_row("value_60s_bps", -1.5, 0.02, "mirrored", ALL_MODELS),
        a_row("markout_60s_bps", -3.0, None),
    ]
    assert conclusions(rows) == [
        "rejected_martingale is above its control: 0.210 beside 0.000 (+0.110 … +0.310, p 0.010 corrected)",
        "value_60s_bps is below its control beside mirrored: -1.500 beside 0.000 (-1.600 … -1.400, p 0.020 corrected)"
        " under every model of the queue",
    ]


def test_a_trap_is_named() -> None:
    """Fills that are followed by larger losses than those of placebos; better ones are a figure like others."""
    (named,) = conclusions([a_row(ADVERSE_SELECTION, -2.0, 0.001, "filled order", ALL_MODELS)])
    assert named.startswith("adverse selection: what fills is followed by losses: a minute after a fill -2.000")
    (zones,) = conclusions([a_row(MARTINGALE, -0.2, 0.001, "episode")])
    assert zones.startswith("adverse selection: price goes on through zones that it reaches, so orders fill when wrong")
    (other,) = conclusions([a_row(ADVERSE_SELECTION, 2.0, 0.001, "filled order", ALL_MODELS)])
    assert other.startswith(f"{ADVERSE_SELECTION} is above its control")


def test_nothing_proven_is_said() -> None:
    """Too little to test, or nothing left of what was tested."""
    assert conclusions([a_row("rejected", 0.2, None)])[0].startswith("nothing is concluded: no figure has the 8 blocks")
    assert conclusions([a_row("rejected", 0.2, 0.4)]) == [
        "nothing is concluded: of 1 figures none differs from its control after correction"
    ]
