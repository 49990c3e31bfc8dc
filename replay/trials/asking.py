"""
Collecting the answers of one model setup: what is stored, what is missing, what that will cost, and the asking itself.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

from agents.llm.client.budget import Budget
from agents.llm.client.endpoint import Endpoint
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

_REFUSED_AGAIN = "the others would be refused as well until that is fixed"
_SATURDAY_NS = 2 * DAY_NS  # of 1970: no peak hours


@dataclass(frozen=True)
class ModelSetup:
    """
    One way of asking about one market.

    Attributes:
        market: as in "binance:BTCFDUSD". settings: of the model. config: the analysis that is shown.
        open_log, open_decisions: open the market's logs; the second is None where there is none.
        runs_dir: the folder of all runs; the answers lie in a folder inside it.
        change: how the market is changed before the analysis.
        proxy: the address of the proxy to the model, None for a direct connection; no part of the arm.
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
        """The folder of answers."""
        return self.runs_dir / FOLDER

    @property
    def questions(self) -> Questions:
        """The questions, and the options of the model."""
        return questions_of(self.settings)

    @property
    def market_config(self) -> AnalysisConfig:
        """The windows and thresholds, under the symbol that the market is shown with."""
        config, symbol = self.config, self.change.symbol
        return config if symbol is None else replace(config, symbol=symbol)

    def arm(self, log: Log) -> Arm:
        """The arm that its answers belong to."""
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
        """The views that the model is shown at some ticks."""
        return views_at(log, ticks, self.market_config, self.change.batches if self.change != NO_CHANGE else iter)


@dataclass(frozen=True, slots=True)
class SpendPolicy:
    """
    What a user allows when a model is asked.

    Attributes:
        concurrency: conversations at the same time, at most.
        agree: called with the estimate before anything is sent; raises where the user does not agree.
        progress: opens a progress bar over a number of conversations.
    """

    concurrency: int
    agree: Callable[[Estimate], None]
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class CollectedAnswers:
    """The complete answers of one arm about some ticks."""

    arm: Arm
    recording: Recording
    ticks: Ticks
    repeats: int

    def totals(self, repeats: range) -> Totals:
        """The sums over the answers of some repeats."""
        total = Totals()
        for answer in self.recording.answers(self.ticks.seq.tolist(), repeats):
            total.add(answer)
        return total

    def spent_since(self, at_ns: int, repeats: range) -> int:
        """The cost of the calls sent at or after a moment, 1e-12 USD."""
        answers = self.recording.answers(self.ticks.seq.tolist(), repeats)
        return sum(call.cost_usd_e12 for answer in answers for call in answer.calls if call.sent_ns >= at_ns)

    def complaint(self, repeats: range) -> str:
        """The most frequent detail of failed calls, for the operator; blank where none failed."""
        answers = self.recording.answers(self.ticks.seq.tolist(), repeats)
        return most_common_complaint(call.detail for answer in answers for call in answer.calls if call.verdict != "ok")

    def took_ms(self, repeat: int) -> dict[int, int]:
        """How long each answer took, by the seq of its tick."""
        seqs = self.ticks.seq.tolist()
        return {answer.seq: answer.took_ms for answer in self.recording.answers(seqs, [repeat])}

    def make_analyst(self, repeat: int, questions: Questions) -> MakeAnalyst:
        """Makes the analyst that decides from one repeat's answers; picklable."""
        return partial(make_recorded_analyst, partial(read_cassette, self.recording.path, repeat), questions)

    def inputs(self, repeat: int) -> dict[str, Any]:
        """What identifies one repeat's answers."""
        seqs = self.ticks.seq.tolist()
        took_digest = blake2b(repr(sorted(self.took_ms(repeat).items())).encode(), digest_size=8).hexdigest()
        arm_inputs = {"side": self.arm.digest(), "prompts": self.arm.prompt_digest, "asking": asdict(self.arm.asking)}
        return arm_inputs | {
            "repeat": repeat,
            "tape": cassette_digest(self.recording.cassette(repeat), seqs),
            "took": took_digest,
        }


def get_answers(setup: ModelSetup, ticks: Ticks, repeats: int, policy: SpendPolicy, clock: Clock) -> CollectedAnswers:
    """
    The answers about the ticks at which trades are live: stored ones, and the missing ones by asking the model.

    Args:
        setup: which model is asked about which market, and how.
        ticks: the ticks, in seq order.
        repeats: how often each tick is asked about, at least 1.
        policy: what the user allows.
        clock: gives the times of calls and the date that prices and budgets depend on.

    Raises:
        NothingToReplay: trades are live at none of the ticks.
        AskingStopped: the model cannot be asked any further; answers so far are stored, and the message says how to
            continue.
        BadAnswers: another process is asking, or the stored answers cannot be read.
        SettingsError: an answer is missing and there is no key to ask with.
    """
    with setup.open_log() as log:
        arm, live = setup.arm(log), live_ticks(log, ticks)
        if len(live) == 0:
            raise NothingToReplay(
                f"{log.name} has no tick with live trades in that stretch: there is nothing to decide"
            )
        with Answers(setup.folder, arm) as answers:
            missing = answers.missing_repeats(live.seq.tolist(), repeats)
            stale = _stale_repeats(setup, log, live, answers.recording, repeats)
            void = _void_repeats(live, answers.recording, repeats)
            for seq, invalid in [*stale.items(), *void.items()]:
                missing[seq] = sorted({*missing.get(seq, ()), *invalid})
            if missing:
                _ask(setup, log, select_ticks(live, missing), missing, answers, policy, clock)
            return CollectedAnswers(arm, answers.recording, live, repeats)


def _stale_repeats(
    setup: ModelSetup, log: Log, live: Ticks, recording: Recording, repeats: int
) -> dict[int, list[int]]:
    """Answers of other code whose questions would be different now, as repeats by seq."""
    repeats_by_seq: dict[int, list[int]] = {}
    for repeat in range(repeats):
        answers = recording.answers(live.seq.tolist(), [repeat])
        old = select_ticks(live, [answer.seq for answer in answers if answer.code != code_digest()])
        if len(old):
            read_repeat = partial(recording.cassette, repeat)
            analyst = make_recorded_analyst(read_repeat, setup.questions, setup.config.parameters)
            for seq in ticks_with_stale_answers(setup.views(log, old), analyst):
                repeats_by_seq.setdefault(seq, []).append(repeat)
    return repeats_by_seq


def _void_repeats(live: Ticks, recording: Recording, repeats: int) -> dict[int, list[int]]:
    """Aborted answers, as repeats by seq, where none was ever completed: the cause is the endpoint, not the ticks."""
    repeats_by_seq: dict[int, list[int]] = {}
    for answer in recording.answers(live.seq.tolist(), range(repeats)):
        if answer.fallback is None or (answer.calls and not answer.cut):
            return {}
        if answer.cut:
            repeats_by_seq.setdefault(answer.seq, []).append(answer.repeat)
    return repeats_by_seq


def _ask(
    setup: ModelSetup,
    log: Log,
    ticks: Ticks,
    missing: dict[int, list[int]],
    answers: Answers,
    policy: SpendPolicy,
    clock: Clock,
) -> None:
    endpoint = endpoint_of(setup.settings, setup.proxy)
    views = setup.views(log, ticks)
    first = next(views)
    count, stored_count = sum(len(repeats) for repeats in missing.values()), 0
    policy.agree(_estimate(setup, first, count, answers.recording, clock))
    with policy.progress(count) as advance:

        def count_stored(n: int) -> None:
            nonlocal stored_count
            stored_count += n
            advance(n)

        all_views = chain([first], views)
        try:
            result = asyncio.run(
                _session(setup, endpoint, all_views, missing, answers, policy.concurrency, clock, count_stored)
            )
        except KeyboardInterrupt:
            result = AskingResult("interrupted")
    if result.stopped is not None:
        progress_text = f"{result.stopped}; {stored_count} of {count} answers were stored"
        raise AskingStopped(
            f"{progress_text}, {_REFUSED_AGAIN if result.lasts else 'run the same command again for the others'}"
        )


async def _session(
    setup: ModelSetup,
    endpoint: Endpoint,
    views: Iterator[MarketView],
    missing: dict[int, list[int]],
    answers: Answers,
    concurrency: int,
    clock: Clock,
    on_progress: Callable[[int], None],
) -> AskingResult:
    from agents.llm.client.client import ModelClient  # what it stands on takes as long to load as all the rest

    budget = _budget(setup, clock)
    client = ModelClient(endpoint, budget, clock, logs=False)
    asker = Asker(
        client=client,
        prompts=prompts_of(setup.questions),
        options=setup.questions.options,
        parameters=setup.config.parameters,
        clock=clock,
        cost_usd_e12=lambda attempt: budget.cost_e12(attempt.charge, attempt.sent_ns),
        code=code_digest(),
    )
    try:
        result = await ask_all(views, missing, answers, asker, concurrency, on_progress)
        return AskingResult(client.stop_reason, lasts=True) if client.stop_reason is not None else result
    finally:
        await client.close()


def _estimate(setup: ModelSetup, view: MarketView, count: int, recording: Recording, clock: Clock) -> Estimate:
    history = Totals()
    for answer in recording.all_answers():
        if answer.whole and answer.calls:
            history.add(answer)
    options = setup.questions.options
    requests = rehearse_requests(view, prompts_of(setup.questions), options, setup.config.parameters)
    return estimate(requests, count, setup.settings.attempts, _rates(setup.settings, clock.now_ns()), history)


def _rates(settings: DeepSeek, now_ns: int) -> Rates | None:
    prices, model = prices_of(settings), settings.model
    if not prices.has_price(model):
        return None
    times = settings.prices[model].peak_multiplier if settings.peak_hours else 1.0

    def dearest(usage: Usage) -> int:
        return round(prices.cost_e12(model, usage, _SATURDAY_NS) * times)

    return Rates(lambda usage: prices.cost_e12(model, usage, now_ns), dearest)


def _budget(setup: ModelSetup, clock: Clock) -> Budget:
    """The budget left today; limits per minute do not apply, as they are meant for live advice."""
    budget = budget_of(setup.settings.model_copy(update={"tokens_per_minute": None, "usd_per_minute": None}))
    now_ns = clock.now_ns()
    today_ns = now_ns // DAY_NS * DAY_NS
    for path in sorted(setup.folder.glob("*.jsonl")):
        if path.stat().st_mtime_ns >= today_ns:
            calls = (call for answer in read_recording(path).all_answers() for call in answer.calls)
            budget.restore((call.sent_ns, call.charged) for call in calls if call.sent_ns >= today_ns)
    if setup.open_decisions is not None:
        with setup.open_decisions() as decisions:
            restore_budget(budget, decisions, now_ns)
    return budget
