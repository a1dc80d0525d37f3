"""``rlsuite compare`` of this checkout: see ``agents/cli/compare.py``."""

from checkout import run

if __name__ == "__main__":
    run("compare")
