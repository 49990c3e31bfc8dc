"""`python -m eventlog`: the commands of `cli.log.app`, under the name they have always had."""

import runpy

if __name__ == "__main__":
    runpy.run_module("cli.log.app", run_name="__main__")
