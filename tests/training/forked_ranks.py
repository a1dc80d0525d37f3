"""Ranks as forks of the test's process, which need not import everything anew."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta

import torch

from rlsuite import ranks

_LONGEST_SECONDS = 60


def together(task: Callable[[], object], size: int = 2, restarts: int = 0) -> list[int]:
    """Do something as so many ranks at once; returns their exit statuses, of which 1 stands for an exception."""
    store = torch.distributed.TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=_LONGEST_SECONDS)
    )
    processes = []
    for rank in range(size):
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            _be(rank, size, restarts, store.port, task)
        processes.append(process)
    late = time.monotonic() + _LONGEST_SECONDS
    statuses: dict[int, int] = {}
    while len(statuses) < size:
        for process in processes:
            ended, status = (0, 0) if process in statuses else os.waitpid(process, os.WNOHANG)
            if ended:
                statuses[process] = os.waitstatus_to_exitcode(status)
            elif process not in statuses and time.monotonic() > late:
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
    return [statuses[process] for process in processes]


def _be(rank: int, size: int, restarts: int, port: int, task: Callable[[], object]) -> None:
    """Be a rank of ``torchrun``, and end."""
    status = 1
    try:
        os.environ |= {
            "RANK": str(rank),
            "WORLD_SIZE": str(size),
            "TORCHELASTIC_RUN_ID": "test",
            "TORCHELASTIC_RESTART_COUNT": str(restarts),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        assert ranks.size() == size and ranks.rank() == rank
        found = task()
        status = found if isinstance(found, int) else 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
