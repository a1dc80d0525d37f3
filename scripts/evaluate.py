"""``rlsuite evaluate`` of this checkout: see ``agents/cli/evaluate.py``."""

from checkout import run

if __name__ == "__main__":
    run("evaluate")
