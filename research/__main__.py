"""`python -m research`: the commands of `cli.sql`, under the name they have always had."""

import runpy

if __name__ == "__main__":
    runpy.run_module("cli.sql", run_name="__main__")
