"""``rlsuite sweep`` of this checkout: see ``agents/cli/sweep.py``."""

from checkout import run

if __name__ == "__main__":
    run("sweep")
