"""
A replay run: decisions over a stretch of log, scored, as a folder whose name is the digest of its inputs.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from agents.llm.recorded import MissingCall
from agents.recommendation import parse
from agents.rules import RulesAnalyst
from agents.zones import shown_warning
from eventlog.clock import Clock
from eventlog.code_version import code_digest, lock_digest
from eventlog.disk.files import file_digest, translate_errors
from eventlog.proof.coverage import CoverageGaps, find_coverage_gaps
from eventlog.store.log import Log
from market.timestamps import iso
from replay.baselines import baselines
from replay.decisions import Decision, Ticks, decide_all, ticks_between
from replay.errors import MissingAnswer, NothingDecided, NothingToReplay
from replay.notes.coverage_gaps import coverage_gap_notes
from replay.notes.in_sample import in_sample_notes
from replay.notes.quiet import quiet_notes
from replay.recorded.books import RecordedBooks
from replay.recorded.minutes import Minutes
from replay.recorded.prices import RecordedPrices
from replay.runs.attribution import ScoringByDecider
from replay.runs.finalize import finalize_run
from replay.runs.log_digest import log_digest
from replay.runs.model_share import ModelShare
from replay.runs.own_zones import OwnZones, decide_own_zones, describe
from replay.runs.publications import (
    PublicationTimes,
    parameter_digests,
    publication_of,
    publication_times,
    publish_times,
)
from replay.runs.publications import digest_of as digest_of_live
from replay.runs.recommendations import Recommendations
from replay.runs.report import render
from replay.runs.tried import Judgement, judge, record_run, tried_runs
from replay.scoring.rules import ScoringRules
from replay.scoring.score_tables import ScoreTables, queue_notes
from replay.scoring.scoring import Scoring
from runtime.analysis_config import AnalysisConfig
from runtime.analysts import MakeAnalyst
from runtime.open_log import OpenLog

_NO_END_NS = 2**61  # a later --to means the end of the log
UNITS = (
    "an episode is an idea: it ends when no zone of its side has overlapped it for as long as advice is valid; a"
    " difference is of what is left when what a price without memory gives is taken off both sides; orders"
    " count by weight, and one that would trade on arrival is refused; fills `all`: what holds under every model of the"
    " queue, with p 1 where their signs differ; where the stated probabilities differ, brier"
    " stands beside that of the rate of the days before"
)
_NOTHING_DECIDED = "No figure of {folder} is the model's: fix why it did not answer, or choose another stretch"


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """
    A model's part in a run.

    Attributes:
        make_analyst: makes the analyst that decides from recorded replies.
        inputs: what identifies the answers; part of the run's id.
        was_live: whether it answered when the minutes were new, so that the decision log says what went out when.
        took_ms: by a tick's seq, how long the answer took: until then it could not have been out.
        notes: sentences for the run's notes.
        complaint: what the model's server said where it refused, for the operator; blank where that is unknown.
    """

    make_analyst: MakeAnalyst
    inputs: Mapping[str, Any]
    was_live: bool
    took_ms: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """
    What to replay.

    Attributes:
        market: as in "binance:BTCFDUSD". from_ns, to_ns: boundaries after the first up to the second, included.
        config: the symbol, windows and thresholds to analyse with. rules: how to score.
        analyst: the name of who decides, part of the run's id. recorded_model: None where no model decides.
        own_zones: of a file, in place of an analyst; None without one. baselines: whether they are scored as well.
    """

    market: str
    from_ns: int
    to_ns: int
    config: AnalysisConfig
    rules: ScoringRules
    analyst: str = "rules"
    recorded_model: RecordedModel | None = None
    own_zones: OwnZones | None = None
    baselines: bool = False

    @property
    def make_analyst(self) -> MakeAnalyst:
        """Makes the analyst that decides."""
        return self.recorded_model.make_analyst if self.recorded_model else RulesAnalyst


@dataclass(frozen=True, slots=True)
class Result:
    """
    A finished run.

    Attributes:
        scores: the rows of `scores.parquet`.
        differing_files: None for a new run; for one that existed already, the files that differ (none: identical).
        judgement: of the run among all that were tried on the same prices; None where the ledger does not have it.
    """

    folder: Path
    manifest: dict[str, Any]
    scores: list[dict[str, Any]]
    differing_files: list[str] | None
    judgement: Judgement | None = None

    @property
    def report(self) -> Path:
        """The path of its report."""
        return self.folder / "report.html"


def run(
    open_log: OpenLog,
    request: Request,
    runs_dir: Path,
    workers: int,
    clock: Clock,
    on_progress: Callable[[int, int], None],
    open_decisions: OpenLog | None = None,
) -> Result:
    """
    Replay, score, and write the run folder.

    Args:
        open_log: opens the market log; called again in every worker process, so picklable where workers > 1.
        request: the stretch, the analysis and scoring, and who decides.
        runs_dir: the folder of all runs; made where it is missing.
        workers: number of processes that share the ticks.
        clock: gives the times of start and end, which are no part of the id.
        on_progress: called with ticks done since the last call, and all ticks.
        open_decisions: opens the decision log, to score only advice that went out live, from then on; None without it.

    Raises:
        NothingToReplay: no tick in the range.
        MissingAnswer: a model decides, and what it would be asked was not recorded.
        NothingDecided: the rules stood in for the model at every tick; the folder is written nevertheless.
    """
    started_ns = clock.now_ns()
    with open_log() as log:
        ticks = ticks_between(log, request.from_ns, request.to_ns)
        if len(ticks) == 0:
            raise NothingToReplay(_no_ticks(log, request))
        first_seq = log.seq_before(int(ticks.boundary_ns[0]) - request.config.windows.warmup_ns) + 1
        last_seq = log.last_seq()
        content = log_digest(log, first_seq - 1, last_seq)
    model = request.recorded_model
    was_live = request.own_zones is None and (model is None or model.was_live)
    live, live_digests = _live_publications(open_decisions if was_live else None, ticks)
    inputs = _inputs(request, ticks, [first_seq, last_seq], content) | {"published": digest_of_live(live)}
    run_id = blake2b(json.dumps(inputs, sort_keys=True).encode(), digest_size=8).hexdigest()
    with _new_folder(runs_dir, run_id) as new_folder:
        with open_log() as log:
            prices, gaps = RecordedPrices(log, first_seq - 1, last_seq), _coverage_gaps(log, ticks)
            advised = Recommendations(new_folder / "recommendations.parquet")
            out_ns = publish_times(ticks, request.rules, model.took_ms if model else None)
            decisions = _decide(open_log, request, ticks, workers, on_progress)
            tables = _score(decisions, out_ns, live, _scoring(log, request, ticks, prices, last_seq), advised)
        share = ModelShare.from_fallbacks(advised.fallbacks) if model is not None else None
        model_notes = (share.sentence, *model.notes) if share and model else ()
        gap_notes = coverage_gap_notes(gaps, tables.episodes["published_ns"].to_numpy(), advised.longest_ns)
        notes = [*model_notes, *quiet_notes(prices.minutes, ticks.boundary_ns), *_no_zone_notes(advised)]
        notes += [*_parameter_notes(request, live_digests), *gap_notes, *_notes(advised, request, ticks, tables)]
        with translate_errors(runs_dir):
            manifest = _write(new_folder, run_id, inputs, advised, share, notes, tables, prices.minutes)
            differing_files = finalize_run(new_folder, runs_dir / run_id, manifest, started_ns, clock.now_ns())
    result = _judged(runs_dir, manifest, tables, differing_files, clock.now_ns())
    if share is not None and model is not None:
        _expect_own_decision(share, model, result)
    return result


@contextmanager
def _new_folder(runs_dir: Path, run_id: str) -> Iterator[Path]:
    """An empty folder beside the run's, which goes where the run cannot be finished."""
    folder = runs_dir / f".{run_id}.new"
    with translate_errors(runs_dir):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _score(
    decisions: Iterable[Decision],
    out_ns: Mapping[int, int],
    live: PublicationTimes,
    scoring: Scoring | ScoringByDecider,
    advised: Recommendations,
) -> ScoreTables:
    """Write decisions down as they come, and score those that went out."""
    for decision in decisions:
        advice = None if decision.advice is None else parse(decision.advice)
        publication = publication_of(decision, advice, out_ns, live)
        advised.add(decision, advice, publication is not None)
        if publication is not None:
            scoring.add(publication)
    advised.close()
    return scoring.finish()


def _coverage_gaps(log: Log, ticks: Ticks) -> CoverageGaps:
    return find_coverage_gaps(log, int(ticks.boundary_ns[0]), int(ticks.boundary_ns[-1]))


def _scoring(
    log: Log, request: Request, ticks: Ticks, prices: RecordedPrices, last_seq: int
) -> Scoring | ScoringByDecider:
    """What scores the run: where a model decides, its own recommendations apart from those of the rules."""
    recorded = RecordedBooks(log, ticks, last_seq)
    books = recorded if recorded.exist() else None

    def make() -> Scoring:
        others = baselines.baselines_on(prices.minutes) if request.baselines else {}
        return Scoring(prices, request.rules, others, books)

    return make() if request.recorded_model is None else ScoringByDecider(make)


def _judged(
    runs_dir: Path, manifest: dict[str, Any], tables: ScoreTables, differing_files: list[str] | None, now_ns: int
) -> Result:
    """The result of a run, which is entered into the ledger where it is new."""
    run_id = manifest["run_id"]
    if differing_files is None:
        record_run(runs_dir, manifest, tables.gains, now_ns)
    judgement = judge(tried_runs(runs_dir), run_id)
    return Result(runs_dir / run_id, manifest, tables.scores.to_pylist(), differing_files, judgement)


def _expect_own_decision(share: ModelShare, model: RecordedModel, result: Result) -> None:
    try:
        share.expect_any(model.complaint, _NOTHING_DECIDED.format(folder=result.folder))
    except NothingDecided as error:
        raise NothingDecided(str(error), result) from None


def _decide(
    open_log: OpenLog, request: Request, ticks: Ticks, workers: int, on_progress: Callable[[int, int], None]
) -> Iterator[Decision]:
    def advance(done: int) -> None:
        on_progress(done, len(ticks))

    if request.own_zones is not None:
        with open_log() as log:
            yield from decide_own_zones(log, ticks, request.own_zones, request.config, advance)
        return
    try:
        yield from decide_all(open_log, ticks, request.config, workers, advance, request.make_analyst)
    except MissingCall as error:
        raise MissingAnswer(str(error)) from error


def _no_zone_notes(advised: Recommendations) -> list[str]:
    return [] if advised.with_zones else ["no zone was advised at any tick, so nothing was scored"]


def _baseline_notes(request: Request, tables: ScoreTables) -> list[str]:
    scored = set(tables.scores.column("unit").to_pylist())
    missing = [name for name in baselines.NAMES if request.baselines and name not in scored]
    return [f"nothing to stand at for the baseline{'s' * (len(missing) > 1)} {', '.join(missing)}"] if missing else []


def _no_ticks(log: Log, request: Request) -> str:
    all_ticks = ticks_between(log, 0, 2**62)
    if len(all_ticks) == 0:
        return f"{log.name} holds no tick, so nothing can be analysed"
    first, last = iso(int(all_ticks.boundary_ns[0])), iso(int(all_ticks.boundary_ns[-1]))
    if request.to_ns <= request.from_ns:
        return f"--from {iso(request.from_ns)} is not before --to {iso(request.to_ns)}; swap them"
    until = "its end" if request.to_ns >= _NO_END_NS else iso(request.to_ns)
    return f"no tick after {iso(request.from_ns)} up to {until}; the log has ticks from {first} to {last}"


def _live_publications(open_decisions: OpenLog | None, ticks: Ticks) -> tuple[PublicationTimes, list[str]]:
    """When advice went out live, and the digests of the parameters under which it was given."""
    if open_decisions is None:
        return {}, []
    with open_decisions() as decisions:
        tick_seqs = set(ticks.seq.tolist())
        live = {seq: time for seq, time in publication_times(decisions).items() if seq in tick_seqs}
        return live, parameter_digests(decisions, live)


def _parameter_notes(request: Request, live_digests: Sequence[str]) -> list[str]:
    own = request.config.parameters.digest()
    others = [digest for digest in live_digests if digest != own]
    if not others:
        return []
    return [
        f"advice went out live under other thresholds or coefficients (digest {', '.join(others)}; this run's: {own});"
        " name its settings with --config"
    ]


def _inputs(request: Request, ticks: Ticks, seqs: list[int], content: str) -> dict[str, Any]:
    return {
        "market": request.market,
        "from": iso(int(ticks.boundary_ns[0])),
        "to": iso(int(ticks.boundary_ns[-1])),
        "seq": seqs,
        "log": content,
        "analyst": request.analyst,
        **({"answers": dict(request.recorded_model.inputs)} if request.recorded_model else {}),
        **({"baselines": sorted(baselines.NAMES)} if request.baselines else {}),
        **({"zones": describe(request.own_zones)} if request.own_zones else {}),
        "windows": asdict(request.config.windows),
        "parameters": request.config.parameters.digest(),
        **({"chosen_on": list(request.config.chosen_on)} if request.config.chosen_on else {}),
        "scoring": asdict(request.rules),
        "code": code_digest(),
        "lock": lock_digest(),
    }


def _write(
    folder: Path,
    run_id: str,
    inputs: dict[str, Any],
    advised: Recommendations,
    share: ModelShare | None,
    notes: list[str],
    score_tables: ScoreTables,
    minutes: Minutes,
) -> dict[str, Any]:
    table_by_name = {
        "episodes": score_tables.episodes,
        "orders": score_tables.orders,
        "fills": score_tables.fills,
        "scores": score_tables.scores,
    }
    for name, table in table_by_name.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    manifest = {
        "run_id": run_id,
        "inputs": inputs,
        "analyses": advised.count,
        "recommendations": advised.recommended,
        "with_zones": advised.with_zones,
        "episodes": score_tables.episodes.num_rows,
        **({} if share is None else {"model": share.as_json()}),
        "notes": notes,
    }
    (folder / "report.html").write_text(render(manifest, table_by_name, minutes), encoding="utf-8")
    manifest["files"] = {f.name: file_digest(f) for f in sorted(folder.iterdir())}
    return manifest


def _notes(advised: Recommendations, request: Request, ticks: Ticks, tables: ScoreTables) -> list[str]:
    """The warnings common to all recommendations with zones, and what else a reader of scores must know."""
    confidence = request.config.parameters.confidence
    span_ns = int(ticks.boundary_ns[0]), int(ticks.boundary_ns[-1])
    return [
        *(shown_warning(warning, confidence) for warning in advised.common_warnings()),
        *in_sample_notes(request.config, request.market, *span_ns, request.own_zones is not None),
        *queue_notes(tables),
        *_baseline_notes(request, tables),
        "markouts are against last trades and contain the bid-ask bounce",
        UNITS,
    ]
