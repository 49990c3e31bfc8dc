"""
Getting the answers of one way of asking: what is stored, what is missing, what that will cost, and the asking itself.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

from agents.llm.client.budget import Budget
from agents.llm.client.client import Endpoint, ModelClient
from agents.llm.wire.api import Usage
from analysis.view import MarketView
from eventlog.clock import Clock
from eventlog.code_version import code_digest
from eventlog.store.log import Log
from market.timestamps import DAY_NS
from replay.decisions import Ticks
from replay.errors import AskingStopped, NothingToReplay
from replay.trials.answer import Arm, Totals, cassette_digest, most_common_complaint
from replay.trials.answers import FOLDER, Answers, Recording, read_cassette, read_recording
from replay.trials.changes import NO_CHANGE, MarketChange
from replay.trials.counterfactual import Asker, ask_all, live_ticks, select_ticks, ticks_with_stale_answers, views_at
from replay.trials.course import AskingResult
from replay.trials.estimate import Estimate, Rates, estimate, rehearse_requests
from runtime.analysis_config import AnalysisConfig
from runtime.analysts import MakeAnalyst, Questions, make_recorded_analyst
from runtime.model_config import budget_of, endpoint_of, prices_of, prompts_of, questions_of, restore_budget
from runtime.open_log import OpenLog
from runtime.settings.settings import DeepSeek

_HOPELESS = "the others would be refused as well until that is mended"
_A_SATURDAY_NS = 2 * DAY_NS  # of 1970: no peak hours


@dataclass(frozen=True)
class ModelSetup:
    """
    One way of asking about one market.

    Attributes:
        settings: of the model. sight: what is shown. open_log, open_decisions: the market's logs, the second where
            there is one. runs_dir: the folder of all runs; the answers lie in one inside it.
        proxy: the address of the proxy on the way to the model, None for the straight way; no part of the answers.
    """

    market: str
    settings: DeepSeek
    config: AnalysisConfig
    open_log: OpenLog
    open_decisions: OpenLog | None
    runs_dir: Path
    change: MarketChange = NO_CHANGE
    proxy: str | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """Where answers lie."""
        return self.runs_dir / FOLDER

    @property
    def questions(self) -> Questions:
        """What is asked and how."""
        return questions_of(self.settings)

    @property
    def changed_config(self) -> AnalysisConfig:
        """The windows and thresholds, under the symbol that the market is shown with."""
        config, symbol = self.config, self.change.symbol
        return config if symbol is None else AnalysisConfig(symbol, config.windows, config.parameters)

    def arm(self, log: Log) -> Arm:
        """What its answers are comparable with."""
        questions, windows = self.questions, self.config.windows
        change = self.change
        description = "" if change == NO_CHANGE else f"{change.shift_e8} {change.symbol} {change.mirror_e8}"
        return Arm(
            market=self.market,
            log_id=log.cold.catalogue.log_id,
            asking=questions.options,
            variant=questions.variant,
            language=questions.language,
            prompt_digest=prompts_of(questions).digest,
            parameters=self.config.parameters.digest(),
            windows={name: getattr(windows, name) for name in windows.__slots__},
            endpoint=self.settings.endpoint_url,
            change=description,
        )

    def views(self, log: Log, ticks: Ticks) -> Iterator[MarketView]:
        """What is shown at some ticks."""
        return views_at(log, ticks, self.changed_config, self.change.batches if self.change != NO_CHANGE else iter)


@dataclass(frozen=True, slots=True)
class SpendPolicy:
    """
    How a user lets a model be asked.

    Attributes:
        agree: is shown the estimate before anything is sent, and raises where that is not wanted.
        progress: opens a progress bar over so many conversations.
    """

    concurrency: int
    agree: Callable[[Estimate], None]
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class CollectedAnswers:
    """The whole answers of one side about some ticks."""

    arm: Arm
    recording: Recording
    ticks: Ticks
    repeats: int

    def totals(self, repeats: range) -> Totals:
        """What they amount to."""
        found = Totals()
        for answer in self.recording.answers(self.ticks.seq.tolist(), repeats):
            found.add(answer)
        return found

    def spent_since(self, at_ns: int, repeats: range) -> int:
        """What those of them cost that were asked for since a moment, 1e-12 USD."""
        answers = self.recording.answers(self.ticks.seq.tolist(), repeats)
        return sum(call.cost_usd_e12 for answer in answers for call in answer.calls if call.sent_ns >= at_ns)

    def complaint(self, repeats: range) -> str:
        """What the model's server said most often where it refused, for the operator; blank where it never did."""
        answers = self.recording.answers(self.ticks.seq.tolist(), repeats)
        return most_common_complaint(call.detail for answer in answers for call in answer.calls if call.verdict != "ok")

    def took_ms(self, repeat: int) -> dict[int, int]:
        """How long each answer took, by the seq of its tick."""
        seqs = self.ticks.seq.tolist()
        return {answer.seq: answer.took_ms for answer in self.recording.answers(seqs, [repeat])}

    def make_analyst(self, repeat: int, questions: Questions) -> MakeAnalyst:
        """Who decides by one repeat's answers; picklable."""
        return partial(recorded_analyst, partial(read_cassette, self.recording.path, repeat), questions)

    def inputs(self, repeat: int) -> dict[str, Any]:
        """What identifies one repeat's answers."""
        seqs = self.ticks.seq.tolist()
        took = blake2b(repr(sorted(self.took_ms(repeat).items())).encode(), digest_size=8).hexdigest()
        asked = {"side": self.arm.digest(), "prompts": self.arm.prompt_digest, "asking": asdict(self.arm.asking)}
        return asked | {"repeat": repeat, "tape": cassette_digest(self.recording.cassette(repeat), seqs), "took": took}


def get_answers(way: ModelSetup, ticks: Ticks, repeats: int, patience: SpendPolicy, clock: Clock) -> CollectedAnswers:
    """
    All answers about the ticks at which trades are live: those that are stored, and the missing ones by asking.

    Raises:
        NothingToReplay: trades are live at none of the ticks.
        AskingStopped: the model cannot be asked on; what came is kept, and the message says how to go on.
        BadAnswers: another process is asking, or the stored answers cannot be read.
        SettingsError: an answer is missing and there is no key to ask with.
    """
    with way.open_log() as log:
        side, live = way.arm(log), live_ticks(log, ticks)
        if len(live) == 0:
            raise NothingToReplay(
                f"{log.name} has no tick with live trades in that stretch: there is nothing to decide"
            )
        with Answers(way.folder, side) as answers:
            missing = answers.missing_repeats(live.seq.tolist(), repeats)
            old, void = _outdated(way, log, live, answers.recording, repeats), _void(live, answers.recording, repeats)
            for seq, again in [*old.items(), *void.items()]:
                missing[seq] = sorted({*missing.get(seq, ()), *again})
            if missing:
                _ask(way, log, select_ticks(live, missing), missing, answers, patience, clock)
            return CollectedAnswers(side, answers.recording, live, repeats)


def _outdated(way: ModelSetup, log: Log, live: Ticks, recording: Recording, repeats: int) -> dict[int, list[int]]:
    """Answers of other code, where that would ask something else by now."""
    found: dict[int, list[int]] = {}
    for repeat in range(repeats):
        stored = recording.answers(live.seq.tolist(), [repeat])
        old = select_ticks(live, [answer.seq for answer in stored if answer.code != code_digest()])
        if len(old):
            read_repeat = partial(recording.cassette, repeat)
            analyst = recorded_analyst(read_repeat, way.questions, way.config.parameters)
            for seq in ticks_with_stale_answers(way.views(log, old), analyst):
                found.setdefault(seq, []).append(repeat)
    return found


def _void(live: Ticks, recording: Recording, repeats: int) -> dict[int, list[int]]:
    """Answers that were cut off, where none ever came to an end: they tell of a broken endpoint, not of their ticks."""
    found: dict[int, list[int]] = {}
    for answer in recording.answers(live.seq.tolist(), range(repeats)):
        if answer.fallback is None or (answer.calls and not answer.cut):
            return {}
        if answer.cut:
            found.setdefault(answer.seq, []).append(answer.repeat)
    return found


def _ask(
    way: ModelSetup,
    log: Log,
    ticks: Ticks,
    missing: dict[int, list[int]],
    answers: Answers,
    patience: SpendPolicy,
    clock: Clock,
) -> None:
    endpoint = endpoint_of(way.settings, way.proxy)
    views = way.views(log, ticks)
    first = next(views)
    count, stored = sum(len(repeats) for repeats in missing.values()), 0
    patience.agree(_estimated(way, first, count, answers.recording, clock))
    with patience.progress(count) as advance:

        def counted(n: int) -> None:
            nonlocal stored
            stored += n
            advance(n)

        shown = chain([first], views)
        try:
            asked = asyncio.run(_session(way, endpoint, shown, missing, answers, patience.concurrency, clock, counted))
        except KeyboardInterrupt:
            asked = AskingResult("interrupted")
    if asked.stopped is not None:
        kept = f"{asked.stopped}; {stored} of {count} answers were stored"
        raise AskingStopped(f"{kept}, {_HOPELESS if asked.lasts else 'run the same command again for the others'}")


async def _session(
    way: ModelSetup,
    endpoint: Endpoint,
    views: Iterator[MarketView],
    missing: dict[int, list[int]],
    answers: Answers,
    concurrency: int,
    clock: Clock,
    on_progress: Callable[[int], None],
) -> AskingResult:
    budget = _budget(way, clock)
    client = ModelClient(endpoint, budget, clock, logs=False)
    asker = Asker(
        client=client,
        prompts=prompts_of(way.questions),
        options=way.questions.asking,
        parameters=way.config.parameters,
        clock=clock,
        cost_usd_e12=lambda attempt: budget.cost_e12(attempt.charge, attempt.sent_ns),
        code=code_digest(),
    )
    try:
        asked = await ask_all(views, missing, answers, asker, concurrency, on_progress)
        return AskingResult(client.stopped, lasts=True) if client.stopped is not None else asked
    finally:
        await client.close()


def _estimated(way: ModelSetup, view: MarketView, count: int, recording: Recording, clock: Clock) -> Estimate:
    known = Totals()
    for answer in recording.all_answers():
        if answer.whole and answer.calls:
            known.add(answer)
    asking = way.questions.asking
    requests = rehearse_requests(view, prompts_of(way.questions), asking, way.config.parameters)
    return estimate(requests, count, way.settings.attempts, _rates(way.settings, clock.now_ns()), known)


def _rates(settings: DeepSeek, now_ns: int) -> Rates | None:
    prices, model = prices_of(settings), settings.model
    if not prices.has_price(model):
        return None
    times = settings.prices[model].peak_multiplier if settings.peak_hours else 1.0

    def dearest(usage: Usage) -> int:
        return round(prices.cost_e12(model, usage, _A_SATURDAY_NS) * times)

    return Rates(lambda usage: prices.cost_e12(model, usage, now_ns), dearest)


def _budget(way: ModelSetup, clock: Clock) -> Budget:
    """What may be spent today; the limits of a minute are for the one minute of live advice."""
    budget = budget_of(way.settings.model_copy(update={"tokens_per_minute": None, "usd_per_minute": None}))
    now_ns = clock.now_ns()
    today_ns = now_ns // DAY_NS * DAY_NS
    for path in sorted(way.folder.glob("*.jsonl")):
        if path.stat().st_mtime_ns >= today_ns:
            calls = (call for answer in read_recording(path).all_answers() for call in answer.calls)
            budget.restore((call.sent_ns, call.charged) for call in calls if call.sent_ns >= today_ns)
    if way.open_decisions is not None:
        with way.open_decisions() as decisions:
            restore_budget(budget, decisions, now_ns)
    return budget
