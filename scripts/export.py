"""``rlsuite export`` of this checkout: see ``agents/cli/export.py``."""

from checkout import run

if __name__ == "__main__":
    run("export")
