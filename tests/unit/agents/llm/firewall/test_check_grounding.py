"""All of an answer is weighed, whether it became advice or was refused."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.llm.conversation.tools import candidates_json
from agents.llm.firewall.admit import AdmittedDecision, admit
from agents.llm.firewall.check_grounding import check_grounding
from agents.llm.firewall.grounding import Grounding
from tests.corpus.decisions import a_decision, views
from tests.market_builders import SMALL

BOOK = views()["book"]
SHOWN = candidates_json(BOOK)


def an_answer(reason: str, zone_reason: str = "", **changed: Any) -> str:
    """The decision to buy Z0 and sell Z1 with other reasons, the first zone changed."""
    decision = a_decision(BOOK) | {"reason": reason}
    decision["zones"][0] |= {"reason": zone_reason} | changed
    return json.dumps(decision)


def test_reasons_of_a_decision_and_of_its_zones_count() -> None:
    """One figure that was shown, and three that were not."""
    grounding = check_grounding(an_answer("99.6, 97.3 % win rate, 5000 BTC", "target 105 850"), SHOWN)
    assert grounding == Grounding(4, ("97.3 %", "5000", "105 850"))


def test_an_admitted_decision_names_nothing_that_was_not_shown() -> None:
    """A narrowed edge inside a candidate is no invention."""
    content = an_answer("rest from 99.58 to 99.63", low="99.58", high="99.63")
    assert isinstance(admit(content, BOOK, SMALL), AdmittedDecision)
    assert check_grounding(content, SHOWN) == Grounding(2, ())


def test_an_edge_outside_of_all_that_was_shown_is_one() -> None:
    """The edge of 12.34 counts, and each time a reason names it; so does a reference of another moment."""
    assert check_grounding(an_answer("777.77 and 12.34", low="12.34"), SHOWN) == Grounding(
        3, ("777.77", "12.34", "12.34")
    )
    stale = json.dumps(json.loads(an_answer("")) | {"reference": "101.37"})
    assert check_grounding(stale, SHOWN) == Grounding(1, ("101.37",))


def test_of_what_is_no_decision_every_text_counts() -> None:
    """Broken JSON as it is; JSON of another form by its texts."""
    assert check_grounding("I would buy 98.765 and 99.6", SHOWN) == Grounding(2, ("98.765",))
    assert check_grounding('{"zones": [{"note": "98.765"}], "why": ["win rate 97%", 5]}', SHOWN).ungrounded == (
        "98.765",
        "97%",
    )
    assert check_grounding("{} ninety nine point seven", SHOWN) == Grounding(1, ("ninety nine point seven",))


@given(st.text(max_size=200) | st.recursive(st.text(), st.lists, max_leaves=9).map(json.dumps), st.text(max_size=50))
def test_any_answer_is_weighed(content: str, material: str) -> None:
    """Nothing raises."""
    grounding = check_grounding(content, material)
    assert len(grounding.ungrounded) <= grounding.count


def test_a_deep_or_endless_answer_is_weighed() -> None:
    """Brackets by the thousand, digits by the thousand, texts by the thousand."""
    assert check_grounding("[" * 100_000, SHOWN) == Grounding(0, ())
    assert check_grounding("[" * 500 + '"98.765"' + "]" * 500, SHOWN) == Grounding(1, ("98.765",))
    assert check_grounding("9" * 100_000, SHOWN).count == 1
    assert check_grounding(json.dumps(["98.765"] * 5_000), SHOWN).count == 100
