"""
`python -m replay`: run recorded days through the analysis, verify that live and replay are equal, compare runs.
"""

from cli import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()

from cli import console
from cli.replay.finished import compare, report
from cli.replay.picture import picture
from cli.replay.run import run
from cli.replay.signals import fit, signals
from cli.replay.verify import transcript, verify
from cli.trials import ab, probe

app = console.application(__doc__ or "")
for _command in (run, compare, report, picture, fit, signals, verify, transcript, ab, probe):
    app.command()(_command)


if __name__ == "__main__":
    console.run(app)
