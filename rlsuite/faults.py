"""Tell whose fault an error is, and in a line what other people's code did. Imports the standard library only."""

import dis
import traceback
from types import TracebackType

_OURS = {"rlsuite", "agents", "envs", "benchmarks", "__main__"}


def is_ours(module: object) -> bool:
    """Whether a module belongs to this project."""
    return str(module).partition(".")[0] in _OURS


def raised_by_us(trace: TracebackType | None) -> bool:
    """Whether an error comes from a ``raise`` in our own code, and not from what that code called."""
    if trace is None:
        return True
    while trace.tb_next is not None:
        trace = trace.tb_next
    instruction = dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]]
    return instruction == "RAISE_VARARGS" and is_ours(trace.tb_frame.f_globals.get("__name__"))


def told(error: BaseException) -> str:
    """One line: the error, and the file and line of other people's code that it comes from, where there is such."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    modules = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    theirs = [
        frame
        for frame, module in zip(frames, modules, strict=True)
        if not is_ours(module) and "importlib" not in frame.filename
    ]
    return f"{what} ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else what
