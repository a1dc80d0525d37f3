"""``rlsuite tournament`` of this checkout: see ``agents/cli/tournament.py``."""

from checkout import run

if __name__ == "__main__":
    run("tournament")
