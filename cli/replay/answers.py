"""
The analyst of a replay: the rules, a model that is asked now, or the record of one.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from agents.llm.recorded import Cassette, cassette_of
from cli import console
from cli.asking import memory_notes, model_setup
from cli.options import LogSource
from eventlog.clock import WallClock
from eventlog.facts.analysis import ANALYZER_SESSION
from eventlog.facts.model import MODEL_CALL
from replay.decisions import Ticks, ticks_between
from replay.runs.run import RecordedModel, Request
from replay.scoring.rules import rules_of
from replay.trials.answer import cassette_digest, most_common_complaint
from replay.trials.asking import CollectedAnswers, SpendPolicy, get_answers
from replay.verify.verify import config_of_session, settings_of
from runtime.analysts import MODEL, Questions, make_recorded_analyst
from runtime.model_config import prompts_of, questions_of
from runtime.open_log import OpenLog
from runtime.settings.settings import Settings

RECORDED = "recorded"
ANALYSTS = ("rules", RECORDED, MODEL)


def requests_of(
    request: Request, analyst: str, source: LogSource, out: Path, repeats: int, policy: SpendPolicy
) -> list[Request]:
    """
    The requests to replay: one for each repeat.

    Args:
        request: the replay with the rules; returned as it is for them.
        analyst: one of ANALYSTS.
        source: the market's logs; where it has no settings, a record is replayed under those that it was made with.
        out: the folder of all runs; a model's answers are stored in it.
        repeats: number of times a model is asked about each tick; 1 for other analysts.
        policy: how much a model may cost, and how it is asked.

    Raises:
        Failure: an unknown analyst, or options that do not fit it.
        ReplayError, SettingsError: see `get_answers`.
    """
    if analyst not in ANALYSTS:
        raise console.Failure(f"unknown analyst {analyst!r}; known: {', '.join(ANALYSTS)}")
    if analyst != MODEL and repeats != 1:
        raise console.Failure(f"--repeats is for --analyst {MODEL}: {analyst} gives the same answer every time")
    if analyst == "rules":
        return [request]
    with source.events() as log:
        ticks = ticks_between(log, request.from_ns, request.to_ns)
    if len(ticks) == 0:
        return [request]  # the run reports the ticks of the log
    if analyst == RECORDED:
        return [_request_from_record(request, source, ticks)]
    settings = source.settings or Settings()
    answers = get_answers(model_setup(source, settings, out), ticks, repeats, policy, WallClock())
    notes = memory_notes(settings, ticks)
    questions = questions_of(settings.analyzer.deepseek)
    return [
        replace(request, analyst=MODEL, recorded_model=_model_of_answers(answers, n, questions, notes))
        for n in range(repeats)
    ]


def _model_of_answers(
    answers: CollectedAnswers, repeat: int, questions: Questions, notes: Sequence[str]
) -> RecordedModel:
    return RecordedModel(
        make_analyst=answers.make_analyst(repeat, questions),
        inputs=answers.inputs(repeat),
        was_live=False,
        took_ms=answers.took_ms(repeat),
        notes=tuple(notes),
        complaint=answers.complaint(range(repeat, repeat + 1)),
    )


def _request_from_record(request: Request, source: LogSource, ticks: Ticks) -> Request:
    if not source.has_decisions:
        raise console.Failure(
            f"there is no decision log of {source.market} in {source.storage}; no decisions were recorded"
        )
    settings, session = source.settings, None
    with source.decisions() as decisions:
        for batch in decisions.read(kinds=[ANALYZER_SESSION]):
            if ANALYZER_SESSION in batch.rows:
                rows = batch.rows[ANALYZER_SESSION]
                session = rows.columns.table.slice(rows.stop - 1, 1).to_pylist()[0]
    if settings is None and session is not None:
        settings, analysis = settings_of(session), config_of_session(session, source.market.symbol, None)
        request = replace(request, config=analysis, rules=rules_of(Settings().scoring, analysis.parameters))
    questions = questions_of((settings or Settings()).analyzer.deepseek)
    read_cassette = partial(_read_cassette, source.decisions)
    inputs = {
        "prompts": prompts_of(questions).digest,
        "asking": asdict(questions.options),
        "tape": cassette_digest(read_cassette(), ticks.seq.tolist()),
    }
    recorded_model = RecordedModel(
        partial(make_recorded_analyst, read_cassette, questions),
        inputs,
        True,
        complaint=_complaint(source.decisions, ticks),
    )
    return replace(request, analyst=RECORDED, recorded_model=recorded_model)


def _complaint(open_decisions: OpenLog, ticks: Ticks) -> str:
    """The most frequent reason of the model's server for its live refusals."""
    details, seqs = list[str](), frozenset(ticks.seq.tolist())
    columns = {MODEL_CALL: ("market_seq", "verdict", "detail")}
    with open_decisions() as decisions:
        for batch in decisions.read(kinds=[MODEL_CALL], columns=columns):
            rows = batch.rows.get(MODEL_CALL)
            if rows is not None:
                calls = rows.table().to_pylist()
                details += [c["detail"] for c in calls if c["verdict"] != "ok" and c["market_seq"] in seqs]
    return most_common_complaint(details)


def _read_cassette(open_decisions: OpenLog) -> Cassette:
    with open_decisions() as decisions:
        return cassette_of(decisions)
