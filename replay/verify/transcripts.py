"""
A recorded minute's conversation, taken from the decision log.
"""

from collections.abc import Iterator
from typing import Any

from agents.llm.conversation.transcript import transcript
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION
from eventlog.store.log import Log
from market.printable import printable
from market.timestamps import iso
from replay.errors import NothingToReplay


def transcript_at(decisions: Log, until_ns: int, full: bool) -> Iterator[str]:
    """
    The newest conversation about a tick whose boundary is not after a moment, as lines of Markdown.

    Args:
        decisions: the decision log.
        until_ns: the moment.
        full: whether long texts are given in full instead of truncated.

    Raises:
        NothingToReplay: no model was asked up to then.
    """
    calls: list[dict[str, Any]] = []
    decisions_by_seq: dict[int, dict[str, Any]] = {}
    for kind, row in _rows(decisions):
        if row["as_of_ns"] > until_ns:
            continue
        if kind == MODEL_DECISION:
            decisions_by_seq.setdefault(row["market_seq"], row)
        elif not calls or row["market_seq"] > calls[0]["market_seq"]:
            calls = [row]
        elif row["market_seq"] == calls[0]["market_seq"]:
            calls.append(row)
    if not calls:
        raise NothingToReplay(f"{decisions.name} holds no call of a model up to {iso(until_ns)}")
    yield f"# {decisions.name.market} as of {iso(calls[0]['as_of_ns'])}, prompts {printable(calls[0]['prompt_digest'])}"
    yield from transcript(calls, decisions_by_seq.get(calls[0]["market_seq"]), full)


def _rows(decisions: Log) -> Iterator[tuple[str, dict[str, Any]]]:
    for batch in decisions.read(kinds=[MODEL_CALL, MODEL_DECISION]):
        for kind, rows in batch.rows.items():
            for row in rows.table().to_pylist():
                yield kind, row
