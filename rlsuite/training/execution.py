"""Eager or compiled, behind one switch."""

import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch

Execution = Literal["auto", "eager", "compile"]
Function = TypeVar("Function", bound=Callable[..., Any])
log = logging.getLogger("rlsuite")


def compiled(function: Function, execution: Execution) -> Function:
    """``function`` through ``torch.compile`` where ``execution`` says "compile"; eager where the compiler fails.

    A compiled function must have fixed shapes and no Python branch on data. The first call compiles, which takes
    seconds to a minute; where that fails (no C++ compiler, say) one line says so and the run goes on eager.
    """
    if execution != "compile":
        return function
    optimised = torch.compile(function, fullgraph=True, dynamic=False)
    choice: list[Callable[..., Any]] = []

    def run(*arguments: Any) -> Any:
        if not choice:
            try:
                result = optimised(*arguments)
            except Exception as error:  # whatever Inductor, Dynamo or the C++ compiler may raise
                reason = str(error).strip().splitlines() or [type(error).__name__]
                log.warning("torch.compile failed (%s); going on eager", reason[0])
                choice.append(function)
                return function(*arguments)
            choice.append(optimised)
            return result
        return choice[0](*arguments)

    return run  # type: ignore[return-value]
