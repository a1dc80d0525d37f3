"""``rlsuite watch`` of this checkout: see ``agents/cli/watch.py``."""

from checkout import run

if __name__ == "__main__":
    run("watch")
