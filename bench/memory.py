"""
What the daemons hold at most, with full windows.
"""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_FULL = """
import resource, sys
from pathlib import Path
from eventlog.cold import ColdLog
from exchanges.logs import open_log
from market.instrument import Market
from agents.decide import Decider
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from projections.state import KINDS, READS, MarketState, Windows
from replay.drive import drive
with open_log(Path(sys.argv[1]), Market.parse("binance:BTCFDUSD")) as log:
    state, parameters = MarketState(Windows()), Parameters()
    decider = Decider("BTCFDUSD", state, RulesAnalyst(parameters), parameters)
    drive(log.read(kinds=KINDS, columns=READS), state, lambda tick, now: decider.decide(tick, now))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def daemons_peak(folder: Path) -> Iterator[str]:
    """Three simulated days, so that every window is full, through what each daemon folds and holds."""
    storage = folder / "three-days"
    record = ["-m", "exchanges.simulated", "record", "--market", "binance:BTCFDUSD", "--storage", str(storage)]
    subprocess.run([sys.executable, *record, "--days", "3.1"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([sys.executable, "-c", _FULL, str(storage)], check=True, capture_output=True, text=True)
    yield f"     peak memory, 72 h of trades and 60 books folded and analysed: {int(done.stdout) / 1024:.0f} MiB"
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    yield f"     largest process of this run: {children:.0f} MiB"
