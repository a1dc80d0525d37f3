"""What the scripts share: errors in a line or two instead of a stack trace, a usage text, and how threads wait."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlsuite.tracking.output import tolerate_closed_output

# Errors whose message is meant for people. They are named, not imported: importing them would load torch.
_KIND = {"ValueError", "TrainingError", "CheckpointError", "ExperienceError", "OSError", "FileNotFoundError"}

# A thread of torch's that waits for the others spins, by default for so long that two runs on the same cores take them
# from each other: an Atari run beside another made 9 to 19 env steps a second, and makes 33 so. Alone it is as quick.
# Read when torch is loaded, which is later.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


@contextmanager
def fail_kindly() -> Iterator[None]:
    """Print errors meant for people as a line or two and exit with status 1; RLSUITE_TRACE=1 shows the trace."""
    tolerate_closed_output()
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("RLSUITE_TRACE") or not _KIND & {kind.__name__ for kind in type(error).__mro__}:
            raise
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)


def usage(*texts: str | None) -> int:
    print("\n\n".join(text.strip() for text in texts if text))
    return 0
