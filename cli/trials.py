"""
Models on recorded days, as commands: who decides in `run`, and `ab` and `probe` whole.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agents.llm.recorded import Tape, tape_of
from agents.rules import RulesAnalyst
from cli import console
from cli.consent import bar, patience
from cli.console import JsonOption, MarketOption, RedisOption, StorageOption
from eventlog.clock import WallClock
from eventlog.facts import ANALYZER_SESSION, MODEL_CALL
from eventlog.names import LogName
from eventlog.store.cold import ColdLog
from market.instrument import Market
from market.timestamps import DAY_NS, MINUTE_NS
from replay.decisions import OpenLog, Ticks, ticks_between
from replay.errors import NothingToReplay
from replay.plain_json import plain
from replay.runs.run import Answered, Request
from replay.scoring.outcomes import HORIZONS_S
from replay.scoring.rules import rules_of
from replay.trials.ab import whole_minutes
from replay.trials.answer import complaint_of, tape_digest
from replay.trials.asking import Collected, Patience, Way, get_answers
from replay.trials.changes import AS_IT_WAS, Changed
from replay.trials.counterfactual import live_ticks
from replay.trials.estimate import memory_note
from replay.trials.experiment import Terms, experiment, experiment_lines
from replay.trials.minute_scores import scores_of
from replay.trials.probe import Decisions, changes, every, probe_lines, share_lines
from replay.trials.probe import probe as probed
from replay.verify.verify import settings_of, sight_of_session
from runtime.analysis_config import sight_of
from runtime.analysts import MODEL, Questions, recorded_analyst
from runtime.model_config import prompts_of, questions_of
from runtime.open_log import open_log
from runtime.settings.settings import Settings, load

ConfigOption = Annotated[Path | None, typer.Option("--config", help="settings file; without one the defaults")]
FromOption = Annotated[str | None, typer.Option("--from", help="first moment, e.g. 2024-01-01 (UTC)")]
ToOption = Annotated[str | None, typer.Option("--to", help="last moment; a date means its end")]
OutOption = Annotated[Path, typer.Option("--out", help="the folder of all runs; answers are kept in it")]
RepeatsOption = Annotated[int, typer.Option(min=1, max=100, help="how often a model is asked about each tick")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, max=256, help="conversations under way at once")]
YesOption = Annotated[bool, typer.Option("--yes", help="spend without being asked")]
WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="processes that share the ticks")]

RECORDED = "recorded"
ANALYSTS = ("rules", RECORDED, MODEL)
_LAST_NS = 2**62
_NOTHING_TO_FOLLOW = "There is no decision that could be followed: mend why, or choose another stretch"
_SHIFTS = (-1, 1)


@dataclass(frozen=True)
class Place:
    """Where a market's logs are, and where runs go."""

    market: Market
    storage: Path
    redis: str | None
    out: Path

    @property
    def events(self) -> OpenLog:
        """Opens the market's log."""
        return partial(open_log, self.storage, self.market, "events", self.redis)

    @property
    def decisions(self) -> OpenLog | None:
        """Opens the decision log, None where there is none."""
        if not ColdLog(self.storage, LogName("decisions", self.market)).exists():
            return None
        return partial(open_log, self.storage, self.market, "decisions", self.redis)

    def way(self, settings: Settings, changed: Changed = AS_IT_WAS) -> Way:
        """The way of asking that settings mean."""
        sight = sight_of(settings, self.market.symbol)
        chosen = settings.analyzer.deepseek
        proxy = settings.proxy_for(chosen.endpoint_url)
        return Way(str(self.market), chosen, sight, self.events, self.decisions, self.out, changed, proxy)

    def ticks(self, start: str | None, to: str | None) -> Ticks:
        """
        The ticks of a stretch.

        Raises:
            NothingToReplay: there is none.
        """
        until = console.time_of(to, _LAST_NS)
        if to is not None and not set(to.strip()) & set("Tt :"):
            until = min(until + DAY_NS, _LAST_NS)
        with self.events() as log:
            ticks = ticks_between(log, console.time_of(start, 0), until)
            if len(ticks) == 0:
                raise NothingToReplay(f"{log.name} holds no tick in that stretch; look at it with eventlog check")
            return ticks


def requests_of(
    request: Request, analyst: str, place: Place, settings: Settings | None, repeats: int, asking: Patience
) -> list[Request]:
    """
    What to replay where somebody may be meant who is no rule: one request a repeat.

    Args:
        settings: None where the user named none: what is recorded is then replayed under the settings it was made with.

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
    with place.events() as log:
        ticks = ticks_between(log, request.from_ns, request.to_ns)
    if len(ticks) == 0:
        return [request]  # the run says what there is
    if analyst == RECORDED:
        return [_recorded(request, place, settings, ticks)]
    settings = settings or Settings()
    found = get_answers(place.way(settings), ticks, repeats, asking, WallClock())
    notes = _memory_notes(settings, ticks)
    questions = questions_of(settings.analyzer.deepseek)
    return [replace(request, analyst=MODEL, answered=_answered(found, n, questions, notes)) for n in range(repeats)]


def _answered(found: Collected, repeat: int, questions: Questions, notes: Sequence[str]) -> Answered:
    return Answered(
        make_analyst=found.make_analyst(repeat, questions),
        inputs=found.inputs(repeat),
        was_live=False,
        took_ms=found.took_ms(repeat),
        notes=tuple(notes),
        complaint=found.complaint(range(repeat, repeat + 1)),
    )


def ab(
    market: MarketOption,
    storage: StorageOption,
    prompts: Annotated[tuple[str, str] | None, typer.Option("--prompts", help="two variants of prompts")] = None,
    config_a: Annotated[Path | None, typer.Option("--config-a", help="settings of side A, to vary more")] = None,
    config_b: Annotated[Path | None, typer.Option("--config-b", help="settings of side B")] = None,
    start: FromOption = None,
    to: ToOption = None,
    repeats: RepeatsOption = 1,
    horizons: Annotated[str, typer.Option(help="markouts to compare, in seconds")] = "10,60,300,900,3600",
    concurrency: ConcurrencyOption = 8,
    yes: YesOption = False,
    workers: WorkersOption = 1,
    out: OutOption = Path("runs"),
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model in two ways about the same recorded minutes, and compare every score pair by pair."""
    one, two = _sides(prompts, config, config_a, config_b)
    place = Place(console.market_of(market), storage, redis, out)
    ticks = whole_minutes(place.ticks(start, to))
    if len(ticks) == 0:
        raise NothingToReplay("no tick of that stretch is on a whole minute, and minutes are what is paired")
    rules = rules_of(one.scoring, sight_of(one, place.market.symbol).parameters)
    terms = Terms(rules, repeats, scores_of(_horizons(horizons)), workers)
    notes = list(dict.fromkeys([*_memory_notes(one, ticks), *_memory_notes(two, ticks)]))
    _tell(notes)
    asking = patience(yes, concurrency, 2)
    found = experiment(place.way(one), place.way(two), ticks, terms, asking, WallClock(), bar("scoring"))
    if as_json:
        console.print_json(plain(found.as_json() | {"notes": notes}))
        return
    for line in experiment_lines(found):
        console.show(line)


def probe(
    market: MarketOption,
    storage: StorageOption,
    start: FromOption = None,
    to: ToOption = None,
    every_n: Annotated[int, typer.Option("--every", min=1, help="look at each n-th tick")] = 10,
    analyst: Annotated[str, typer.Option(help=f"who decides: rules or {MODEL}")] = "rules",
    concurrency: ConcurrencyOption = 8,
    yes: YesOption = False,
    out: OutOption = Path("runs"),
    redis: RedisOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The same minutes at other prices, under another name and in a mirror: how often does the decision follow?"""
    if analyst not in ("rules", MODEL):
        raise console.Failure(f"unknown analyst {analyst!r}; known here: rules, {MODEL}")
    settings = load(config) if config else Settings()
    place = Place(console.market_of(market), storage, redis, out)
    with place.events() as log:
        looked_at = every(place.ticks(start, to), every_n)
        ticks = live_ticks(log, looked_at)
        views = place.way(settings).views(log, ticks)
        first = next((v for v in views if v.reference_e8 is not None), None)
    if first is None or first.reference_e8 is None:
        raise NothingToReplay(
            f"at none of the {len(looked_at)} ticks looked at (--every {every_n}) are trades live with a price: "
            "there is none to shift; --every 1 looks at all of the stretch"
        )
    notes = _memory_notes(settings, ticks) if analyst == MODEL else []
    _tell(notes)
    changed = changes(first.reference_e8, first.tick_size_e8, _SHIFTS)
    asking = patience(yes, concurrency, len(changed) + 2)
    decide = partial(_decisions, place, settings, ticks, analyst, asking)
    rows = probed(decide, changed, first.tick_size_e8, analyst == MODEL)
    for line in share_lines(rows):
        typer.echo(line, err=True)
    if as_json:
        console.print_json(plain({"analyst": analyst, "changes": [row.as_json() for row in rows], "notes": notes}))
        return
    for line in probe_lines(rows):
        console.show(line)


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {console.visible(note)}", err=True)


def _decisions(
    place: Place, settings: Settings, ticks: Ticks, analyst: str, asking: Patience, changed: Changed, repeat: int
) -> Decisions:
    way = place.way(settings, changed)
    parameters = way.sight.parameters
    if analyst == MODEL:
        found = get_answers(way, ticks, repeat + 1, asking, WallClock())
        if changed == AS_IT_WAS:
            asked = range(repeat, repeat + 1)
            found.totals(asked).share.expect_any(found.complaint(asked), _NOTHING_TO_FOLLOW)
        decider = found.make_analyst(repeat, way.questions)(parameters)
    else:
        decider = RulesAnalyst(parameters)
    with place.events() as log:
        return {view.as_of_seq: decider.decide(view) for view in way.views(log, ticks)}


def _recorded(request: Request, place: Place, settings: Settings | None, ticks: Ticks) -> Request:
    if place.decisions is None:
        raise console.Failure(f"there is no decision log of {place.market} in {place.storage}; nothing was recorded")
    session = None
    with place.decisions() as decisions:
        for batch in decisions.read(kinds=[ANALYZER_SESSION]):
            if ANALYZER_SESSION in batch.rows:
                rows = batch.rows[ANALYZER_SESSION]
                session = rows.columns.table.slice(rows.stop - 1, 1).to_pylist()[0]
    if settings is None and session is not None:
        settings, sight = settings_of(session), sight_of_session(session, place.market.symbol, None)
        request = replace(request, sight=sight, rules=rules_of(Settings().scoring, sight.parameters))
    questions = questions_of((settings or Settings()).analyzer.deepseek)
    read_tape = partial(_tape, place.decisions)
    inputs = {
        "prompts": prompts_of(questions).digest,
        "asking": asdict(questions.asking),
        "tape": tape_digest(read_tape(), ticks.seq.tolist()),
    }
    answered = Answered(
        partial(recorded_analyst, read_tape, questions), inputs, True, complaint=_complaint(place.decisions, ticks)
    )
    return replace(request, analyst=RECORDED, answered=answered)


def _complaint(open_decisions: OpenLog, ticks: Ticks) -> str:
    """What the model's server said most often where it refused live."""
    details, asked = list[str](), frozenset(ticks.seq.tolist())
    columns = {MODEL_CALL: ("market_seq", "verdict", "detail")}
    with open_decisions() as decisions:
        for batch in decisions.read(kinds=[MODEL_CALL], columns=columns):
            rows = batch.rows.get(MODEL_CALL)
            if rows is not None:
                calls = rows.columns.table.slice(rows.start, len(rows)).to_pylist()
                details += [c["detail"] for c in calls if c["verdict"] != "ok" and c["market_seq"] in asked]
    return complaint_of(details)


def _tape(open_decisions: OpenLog) -> Tape:
    with open_decisions() as decisions:
        return tape_of(decisions)


def _memory_notes(settings: Settings, ticks: Ticks) -> list[str]:
    first, last = int(ticks.boundary_ns[0]) - MINUTE_NS, int(ticks.boundary_ns[-1])
    note = memory_note(settings.analyzer.deepseek.model, first, last)
    return [note] if note else []


def _sides(
    prompts: tuple[str, str] | None, config: Path | None, config_a: Path | None, config_b: Path | None
) -> tuple[Settings, Settings]:
    if (config_a is None) != (config_b is None):
        raise console.Failure("--config-a and --config-b belong together; name both, or --config and --prompts")
    if prompts is None and config_a is None:
        raise console.Failure("what are A and B? Name two variants with --prompts A B, or --config-a and --config-b")
    found = [load(each) if each else Settings() for each in (config_a or config, config_b or config)]
    if prompts is not None:
        found = [_with_prompts(settings, name) for settings, name in zip(found, prompts, strict=True)]
    for settings in found:
        prompts_of(questions_of(settings.analyzer.deepseek))  # both can be read, or nothing is asked
    return found[0], found[1]


def _with_prompts(settings: Settings, variant: str) -> Settings:
    chosen = settings.analyzer.deepseek.model_copy(update={"prompts": variant})
    analyzer = settings.analyzer.model_copy(update={"deepseek": chosen})
    return settings.model_copy(update={"analyzer": analyzer})


def _horizons(text: str) -> list[int]:
    named = text.replace(" ", "").split(",")
    if not set(named) <= {str(h) for h in HORIZONS_S}:
        known = ", ".join(str(h) for h in HORIZONS_S)
        raise console.Failure(f"--horizons {text!r}: the scorer knows {known} seconds; name some of them with commas")
    return [int(h) for h in named]
