"""``rlsuite tune`` of this checkout: see ``agents/cli/tune.py``."""

from checkout import run

if __name__ == "__main__":
    run("tune")
