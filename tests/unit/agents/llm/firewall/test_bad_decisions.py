"""Every bad decision of the corpus is refused, with a reason that names its fault."""

import pytest

from agents.llm.firewall.admit import RefusedDecision, admit
from tests.corpus.bad_decisions import Bad, bad_decisions
from tests.corpus.decisions import views
from tests.market_builders import SMALL

CORPUS = dict(bad_decisions())


@pytest.mark.parametrize("bad", CORPUS.values(), ids=CORPUS.keys())
def test_a_bad_decision_is_refused_by_name(bad: Bad) -> None:
    """Refused, with a reason of one short line that holds the fault's word."""
    answer = admit(bad.content, views()[bad.view], SMALL)
    assert isinstance(answer, RefusedDecision)
    assert any(bad.word in reason for reason in answer.reasons), answer.reasons
    assert all(len(reason) <= 240 and reason.isprintable() for reason in answer.reasons)
    assert len(answer.reasons) <= 13


def test_the_corpus_is_large() -> None:
    """At least three hundred, from five views, no two answers of a view the same."""
    assert len(CORPUS) >= 300
    assert {bad.view for bad in CORPUS.values()} == {"book", "bookless", "one_sided", "coarse", "market"}
    assert len({(bad.view, bad.content) for bad in CORPUS.values()}) == len(CORPUS)
