"""`python -m eventlog`: runs the commands of `cli.log.app`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("cli.log.app", run_name="__main__")
