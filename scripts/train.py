"""``rlsuite train`` of this checkout: see ``agents/cli/train.py``."""

from checkout import run

if __name__ == "__main__":
    run("train")
