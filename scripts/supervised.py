"""``rlsuite supervised`` of this checkout: see ``agents/cli/supervised.py``."""

from checkout import run

if __name__ == "__main__":
    run("supervised")
