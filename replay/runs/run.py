"""
A replay run: decisions over a stretch of log, scored, as a folder whose name is the digest of its inputs.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agents.llm.recorded import MissingCall
from agents.recommendation import parse
from agents.rules import RulesAnalyst
from eventlog.clock import Clock
from eventlog.code_version import code_digest, lock_digest
from eventlog.disk.files import file_digest, translate_errors
from eventlog.proof.coverage import find_coverage_gaps
from eventlog.store.log import Log
from market.timestamps import iso
from replay.decisions import Decision, Ticks, decide_all, ticks_between
from replay.errors import MissingAnswer, NothingDecided, NothingToReplay
from replay.runs.attribution import score_by_decider
from replay.runs.coverage_gaps import coverage_gap_notes
from replay.runs.finalize import finalize_run
from replay.runs.log_digest import log_digest
from replay.runs.model_share import ModelShare
from replay.runs.publications import PublicationTimes, parameter_digests, publication_times
from replay.runs.publications import digest_of as digest_of_live
from replay.runs.report import render
from replay.scoring.calibration import NOTE
from replay.scoring.episodes import Publication
from replay.scoring.placebo import PlaceboPool
from replay.scoring.price_path import READS, PricePath
from replay.scoring.quiet import quiet_notes
from replay.scoring.scoring import Rules, ScoreTables, score
from runtime.analysis_config import AnalysisConfig
from runtime.analysts import MakeAnalyst
from runtime.open_log import OpenLog

_FOR_EVER_NS = 2**61
_NOTHING_OWN = "No figure of {folder} is the model's: mend why it did not answer, or choose another stretch"


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """
    A model's part in a run.

    Attributes:
        make_analyst: decides from its recorded replies. inputs: what identifies the answers; part of the run's id.
        was_live: whether it answered when the minutes were new, so that the decision log says what went out when.
        took_ms: by a tick's seq, how long the answer took: until then it could not have been out.
        complaint: what the model's server said where it refused, for the operator; blank where nobody knows.
    """

    make_analyst: MakeAnalyst
    inputs: Mapping[str, Any]
    was_live: bool
    took_ms: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What to replay: boundaries after from_ns up to to_ns."""

    market: str
    from_ns: int
    to_ns: int
    config: AnalysisConfig
    rules: Rules
    analyst: str = "rules"
    recorded_model: RecordedModel | None = None

    @property
    def make_analyst(self) -> MakeAnalyst:
        """Who decides."""
        return self.recorded_model.make_analyst if self.recorded_model else RulesAnalyst


@dataclass(frozen=True, slots=True)
class Result:
    """
    A finished run.

    Attributes:
        scores: every figure, as of `scores.parquet`.
        again: None for a new run; for one that existed already, the files that came out different (none: identical).
    """

    folder: Path
    manifest: dict[str, Any]
    scores: list[dict[str, Any]]
    differing_files: list[str] | None

    @property
    def report(self) -> Path:
        """Where its report lies."""
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
        open_decisions: opens the decision log, where there is one: advice that went out live is scored from the moment
            it did, and advice that did not go out is not scored.

    Raises:
        NothingToReplay: no tick in the range.
        MissingAnswer: a model decides, and what it would be asked was not recorded.
        NothingDecided: a model was to decide, and the rules stood in for it at every tick; the folder is written, and
            none of its figures is called the model's.
    """
    started = clock.now_ns()
    with open_log() as log:
        ticks = ticks_between(log, request.from_ns, request.to_ns)
        if len(ticks) == 0:
            raise NothingToReplay(_no_ticks(log, request))
        first_seq = log.seq_before(int(ticks.boundary_ns[0]) - request.config.windows.warmup_ns) + 1
        last_seq = log.last_seq()
        content = log_digest(log, first_seq - 1, last_seq)
    decisions = _decided(open_log, request, ticks, workers, on_progress)
    with open_log() as log:
        path = PricePath.from_batches(log.read(first_seq - 1, last_seq, list(READS), READS))
        mask = unproven(log, int(ticks.boundary_ns[0]), int(ticks.boundary_ns[-1]))
    asked_later = request.recorded_model is not None and not request.recorded_model.was_live
    live, seen_with = _live(None if asked_later else open_decisions, ticks)
    took_ms = request.recorded_model.took_ms if request.recorded_model else None
    published, moments = _published(decisions, ticks, request.rules, live, took_ms)
    share = _share(decisions) if request.recorded_model is not None else None
    scored = (score if share is None else score_by_decider)(published, moments, path, request.rules)
    inputs = _inputs(request, ticks, [first_seq, last_seq], content) | {"published": digest_of_live(live)}
    run_id = blake2b(json.dumps(inputs, sort_keys=True).encode(), digest_size=8).hexdigest()
    with translate_errors(runs_dir):
        runs_dir.mkdir(parents=True, exist_ok=True)
        aside = runs_dir / f".{run_id}.new"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        said = (share.sentence, *request.recorded_model.notes) if share and request.recorded_model else ()
        doubts = coverage_gap_notes(mask, scored.episodes["published_ns"].to_numpy(), published)
        little = [*quiet_notes(path, ticks.boundary_ns), *_no_zone(decisions)]
        notes = [*said, *little, *_other_eyes(request, seen_with), *doubts, *_notes(published, request, ticks)]
        manifest = _write(aside, run_id, inputs, decisions, share, notes, scored, path)
        again = finalize_run(aside, runs_dir / run_id, manifest, started, clock.now_ns())
    result = Result(runs_dir / run_id, manifest, scored.scores.to_pylist(), again)
    if share is not None and request.recorded_model is not None:
        try:
            share.expect_any(request.recorded_model.complaint, _NOTHING_OWN.format(folder=result.folder))
        except NothingDecided as error:
            raise NothingDecided(str(error), result) from None
    return result


def _decided(
    open_log: OpenLog, request: Request, ticks: Ticks, workers: int, on_progress: Callable[[int, int], None]
) -> list[Decision]:
    def advance(done: int) -> None:
        on_progress(done, len(ticks))

    try:
        return list(decide_all(open_log, ticks, request.config, workers, advance, request.make_analyst))
    except MissingCall as error:
        raise MissingAnswer(str(error)) from error


def _share(decisions: Sequence[Decision]) -> ModelShare:
    return ModelShare.from_fallbacks(parse(each.advice).fallback for each in decisions if each.advice is not None)


def _no_zone(decisions: Sequence[Decision]) -> list[str]:
    return [] if any(d.zones for d in decisions) else ["no zone was advised at any tick, so nothing was scored"]


def _no_ticks(log: Log, request: Request) -> str:
    every = ticks_between(log, 0, 2**62)
    if len(every) == 0:
        return f"{log.name} holds no tick, so nothing can be analysed"
    first, last = iso(int(every.boundary_ns[0])), iso(int(every.boundary_ns[-1]))
    if request.to_ns <= request.from_ns:
        return f"--from {iso(request.from_ns)} is not before --to {iso(request.to_ns)}; exchange them"
    until = "its end" if request.to_ns >= _FOR_EVER_NS else iso(request.to_ns)
    return f"no tick after {iso(request.from_ns)} up to {until}; the log has ticks from {first} to {last}"


def _live(open_decisions: OpenLog | None, ticks: Ticks) -> tuple[PublicationTimes, list[str]]:
    """What went out live, and the digests of the parameters it was made under."""
    if open_decisions is None:
        return {}, []
    with open_decisions() as decisions:
        replayed = set(ticks.seq.tolist())
        live = {seq: out for seq, out in publication_times(decisions).items() if seq in replayed}
        return live, parameter_digests(decisions, live)


def _other_eyes(request: Request, live: Sequence[str]) -> list[str]:
    own = request.config.parameters.digest()
    others = [digest for digest in live if digest != own]
    if not others:
        return []
    return [
        f"advice went out live under other thresholds or coefficients (digest {', '.join(others)}; this run's: {own});"
        " name its settings with --config"
    ]


def publish_times(ticks: Ticks, rules: Rules, took_ms: Mapping[int, int] | None) -> dict[int, int]:
    """When the advice of each tick would have been out: after the usual delay, or the time a model took if longer."""
    delay, took = rules.publish_delay_ms, took_ms or {}
    return {
        seq: recv + max(delay, took.get(seq, 0)) * 1_000_000
        for seq, recv in zip(ticks.seq.tolist(), ticks.recv_ns.tolist(), strict=True)
    }


def _published(
    decisions: Sequence[Decision],
    ticks: Ticks,
    rules: Rules,
    live: PublicationTimes,
    took_ms: Mapping[int, int] | None = None,
) -> tuple[list[Publication], PlaceboPool]:
    """Recommendations with the moment they were or would have been out, and the ticks where distance was measurable."""
    out_ns, published = publish_times(ticks, rules, took_ms), []
    for decision in decisions:
        out = live.get(decision.seq, (out_ns[decision.seq], decision.seq))
        if decision.advice is not None and out is not None:
            published.append(Publication(parse(decision.advice), *out))
    usable = [d for d in decisions if d.advice is not None and d.reference_e8 is not None and d.sigma is not None]
    moments = PlaceboPool(
        published_ns=np.array([out_ns[d.seq] for d in usable], np.int64),
        published_seq=np.array([d.seq for d in usable], np.int64),
        reference_e8=np.array([d.reference_e8 for d in usable], np.int64),
        sigma=np.array([d.sigma for d in usable], np.float64),
    )
    return published, moments


def _inputs(request: Request, ticks: Ticks, seqs: list[int], content: str) -> dict[str, Any]:
    return {
        "market": request.market,
        "from": iso(int(ticks.boundary_ns[0])),
        "to": iso(int(ticks.boundary_ns[-1])),
        "seq": seqs,
        "log": content,
        "analyst": request.analyst,
        **({"answers": dict(request.recorded_model.inputs)} if request.recorded_model else {}),
        "windows": asdict(request.config.windows),
        "parameters": request.config.parameters.digest(),
        "scoring": asdict(request.rules),
        "code": code_digest(),
        "lock": lock_digest(),
    }


def _write(
    folder: Path,
    run_id: str,
    inputs: dict[str, Any],
    decisions: Sequence[Decision],
    share: ModelShare | None,
    notes: list[str],
    scored: ScoreTables,
    path: PricePath,
) -> dict[str, Any]:
    tables = {
        "recommendations": _decision_table(decisions),
        "episodes": scored.episodes,
        "orders": scored.orders,
        "fills": scored.fills,
        "scores": scored.scores,
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    with_zones = sum(d.zones > 0 for d in decisions)
    manifest = {
        "run_id": run_id,
        "inputs": inputs,
        "analyses": len(decisions),
        "recommendations": sum(d.advice is not None for d in decisions),
        "with_zones": with_zones,
        "episodes": scored.episodes.num_rows,
        **({} if share is None else {"model": share.as_json()}),
        "notes": notes,
    }
    (folder / "report.html").write_text(render(manifest, tables, path), encoding="utf-8")
    manifest["files"] = {f.name: file_digest(f) for f in sorted(folder.iterdir())}
    return manifest


def _notes(published: Sequence[Publication], request: Request, ticks: Ticks) -> list[str]:
    """The warnings that every recommendation with zones carries, once, and what else a reader of scores must know."""
    advised = [each for each in published if each.advice.zones] or published
    warnings = [set(each.advice.warnings) for each in advised]
    shared = sorted(set.intersection(*warnings)) if warnings else []
    return [
        *shared,
        *_in_sample(request, int(ticks.boundary_ns[0]), int(ticks.boundary_ns[-1])),
        "markouts are against last trades and contain the bid-ask bounce",
        NOTE,
    ]


def _in_sample(request: Request, first_ns: int, last_ns: int) -> list[str]:
    parameters = request.config.parameters
    seen = {
        name: fit.seen_within(request.market, first_ns, last_ns)
        for name, fit in (("pull probability", parameters.pull), ("confidence", parameters.confidence))
    }
    return [f"in sample: {name} was fitted on {', '.join(spans)}" for name, spans in seen.items() if spans]


def _decision_table(decisions: Sequence[Decision]) -> pa.Table:
    return pa.table(
        {
            "as_of_seq": pa.array([d.seq for d in decisions], pa.int64()),
            "as_of_ns": pa.array([d.boundary_ns for d in decisions], pa.int64()),
            "reference_e8": pa.array([d.reference_e8 for d in decisions], pa.int64()),
            "sigma": pa.array([d.sigma for d in decisions], pa.float64()),
            "analysis_digest": pa.array([d.analysis_digest for d in decisions], pa.string()),
            "stance": pa.array([d.stance for d in decisions], pa.string()),
            "zones": pa.array([d.zones for d in decisions], pa.int64()),
            "body": pa.array([d.advice.decode() if d.advice else None for d in decisions], pa.string()),
        }
    )
