"""``rlsuite zoo`` of this checkout: see ``agents/cli/zoo.py``."""

from checkout import run

if __name__ == "__main__":
    run("zoo")
