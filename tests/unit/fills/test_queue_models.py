"""Queue models: the published trace, and what each does at the edges."""

import pytest

from fills.queue_models import BOUNDS, FAMILY, QueueModel, front_of

TRACE = {
    "risk adverse": "7.000000", "log": "5.308884", "log 2": "5.943056", "power 1": "5.090909", "power 2": "4.738462",
    "power 3": "4.471744", "power2 2": "4.396694", "power3 2": "5.785124", "power3 3": "6.226897",
}  # fmt: skip
"""Behind 10; the display goes 10 → 14; 3 trade; 14 → 11; 11 → 8: what is then ahead, as hftbacktest prints it."""


@pytest.mark.parametrize("model", FAMILY, ids=lambda model: model.name)
def test_the_published_trace(model: QueueModel) -> None:
    """To every printed decimal."""
    front = front_of(model, 10.0, 0.0, (10.0, 14.0))
    front = front_of(model, front - 3.0, 3.0, (14.0, 11.0))
    front = front_of(model, front, 0.0, (11.0, 8.0))
    assert f"{front:.6f}" == TRACE[model.name]


def test_the_trace_names_every_model() -> None:
    """And no other."""
    assert list(TRACE) == [model.name for model in FAMILY]


@pytest.mark.parametrize("model", FAMILY, ids=lambda model: model.name)
@pytest.mark.parametrize(
    ("front", "traded", "sizes", "expected"),
    [
        (3.0, 0.0, (3.0, 9.0), 3.0),  # what is added comes behind
        (3.0, 0.0, (3.0, 0.0), 0.0),  # nothing is left at the level
        (0.0, 0.0, (5.0, 2.0), 0.0),  # nothing was ahead
        (0.0, 0.0, (0.0, 0.0), 0.0),  # nor behind
        (2.0, 4.0, (9.0, 5.0), 2.0),  # trades explain the fall
        (2.0, 4.0, (9.0, 7.0), 2.0),  # and more than that: something came behind
    ],
)
def test_edges(model: QueueModel, front: float, traded: float, sizes: tuple[float, float], expected: float) -> None:
    """Where every model says the same."""
    assert front_of(model, front, traded, sizes) == expected


@pytest.mark.parametrize("model", FAMILY, ids=lambda model: model.name)
def test_no_queue_falls_below_zero(model: QueueModel) -> None:
    """A fall that a model puts ahead of the order may be more than is there."""
    assert 0.0 <= front_of(model, 6.0, 0.0, (10.0, 0.5)) <= 0.5


@pytest.mark.parametrize("model", BOUNDS, ids=lambda model: model.name)
def test_bounds_do_not_move(model: QueueModel) -> None:
    """No change of a level brings them nearer or farther."""
    assert front_of(model, 4.0, 0.0, (9.0, 1.0)) == 4.0
