"""``rlsuite equilibrium`` of this checkout: see ``agents/cli/equilibrium.py``."""

from checkout import run

if __name__ == "__main__":
    run("equilibrium")
