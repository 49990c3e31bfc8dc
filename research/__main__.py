"""`python -m research`: the command of `cli.sql`, under its older name."""

import runpy

if __name__ == "__main__":
    runpy.run_module("cli.sql", run_name="__main__")
