"""`python -m replay`: the commands of `cli.replay.app`, under their earlier name."""

import runpy

if __name__ == "__main__":
    runpy.run_module("cli.replay.app", run_name="__main__")
