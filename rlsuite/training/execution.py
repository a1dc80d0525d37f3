"""Run functions eagerly, compiled, or captured as CUDA graphs."""

import itertools
import logging
import types
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from rlsuite.training.direct_call import DirectCall

Execution = Literal["auto", "eager", "compile", "graph"]
Function = TypeVar("Function", bound=Callable[..., Any])
log = logging.getLogger("rlsuite")

_OPTIONS: dict[str, Any] = {
    # Regions are always called under the conditions that they were compiled for, so guards need no check.
    "guard_filter_fn": torch.compiler.skip_all_guards_unsafe,
    # Gradients of many parameters are concatenated piece by piece; selecting element by element is much slower.
    "max_pointwise_cat_inputs": 1,
    # Values used more than once are computed once and stored, from fewer operations on than by default, which compiles
    # sooner. ``docs/benchmarks.md`` compares some thresholds.
    "realize_opcount_threshold": 20,
    # Small networks spend more time in Python between kernels than in them: let C++ call the kernels, unchecked.
    "cpp_wrapper": True,
    "size_asserts": False,
}
_WARM_UP_CALLS = 3
_regions = itertools.count()


def compiled(function: Function, execution: Execution, *, once: Callable[[], bool] | None = None) -> Function:
    """``function`` as it is ("eager"), through ``torch.compile``, or compiled and captured in a CUDA graph.

    A compiled function must be called with tensors of the same shapes each time, have no Python branch on data, and
    change nothing but tensors, in place. What is captured ("graph") must besides take no arguments, and what it
    returns is overwritten by the next call; functions with arguments are only compiled, and without CUDA all are. What
    takes no arguments must work on the same tensors each time.

    The first call compiles, which takes seconds to a minute; where that fails (no C++ compiler, say) one line says so
    and the run goes on eager.

    Args:
        once: if given, the plain function is called until this is True. State that only a first call allocates is then
            there when the function is compiled.
    """
    if execution in ("eager", "auto"):
        return function
    optimised = torch.compile(_region(function), fullgraph=True, dynamic=False, options=_OPTIONS)
    return _Fallback(optimised, function, capture=execution == "graph", once=once)  # type: ignore[return-value]


def captured(function: Function, execution: Execution, *, once: Callable[[], bool] | None = None) -> Function:
    """``function`` as it is, captured in a CUDA graph where ``execution`` is "graph"; ``compiled`` says how to call it.

    For functions that take no arguments and that the compiler of a device does not get right.
    """
    if execution != "graph" or not torch.cuda.is_available():
        return function
    return _Fallback(function, function, capture=True, once=once)  # type: ignore[return-value]


def on_copies(function: Function, execution: Execution, make: Callable[..., Any] = compiled) -> Function:
    """``compiled`` for a function whose input tensors change from call to call: they are copied to fixed addresses.

    Without arguments of its own the region can be captured and called directly, which costs less than the copies.
    Arguments that are no tensors must be the same each time.
    """
    if execution in ("eager", "auto"):
        return function
    kept: list[Any] = []
    arguments: list[Any] = []

    def region() -> Any:
        return function(*arguments)

    optimised = make(region, execution)

    def call(*given: Any) -> Any:
        leaves, layout = tree_flatten(given)
        if not kept:
            kept.extend(leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves)
            arguments.extend(tree_unflatten(kept, layout))
        for copy, leaf in zip(kept, leaves, strict=True):
            if isinstance(leaf, Tensor):
                copy.copy_(leaf)
            elif leaf != copy:
                raise ValueError(f"a compiled function was called with {leaf!r}, and before with {copy!r}")
        return optimised()

    return call  # type: ignore[return-value]


class _Fallback:
    """Calls the optimised function, or the plain one if the first call shows that it cannot be had."""

    def __init__(
        self,
        optimised: Callable[..., Any],
        plain: Callable[..., Any],
        capture: bool,
        once: Callable[[], bool] | None,
    ) -> None:
        self._chosen, self._plain, self._capture, self._once = optimised, plain, capture, once
        self._is_compiled = optimised is not plain
        self._calls = 0

    def __call__(self, *arguments: Any) -> Any:
        if self._calls > _WARM_UP_CALLS:
            return self._chosen(*arguments)
        if self._once is not None:
            if not self._once():
                return self._plain(*arguments)
            self._once = None
        self._calls += 1
        if self._calls == 1:
            return self._first(*arguments)
        if self._calls > _WARM_UP_CALLS and not arguments:
            self._chosen = self._without_python()
        return self._chosen(*arguments)

    def _without_python(self) -> Callable[[], Any]:
        """The chosen function, called in the quickest way: what could not be compiled is captured as it is."""
        if self._capture and torch.cuda.is_available():
            try:
                return _graph_of(self._chosen)
            except RuntimeError as error:
                log.warning("no CUDA graph could be captured (%s); going on without", str(error).splitlines()[0])
                return self._chosen
        return DirectCall(self._chosen) if self._is_compiled else self._chosen

    def _first(self, *arguments: Any) -> Any:
        if not self._is_compiled:
            return self._plain(*arguments)
        try:
            return self._chosen(*arguments)
        except Exception as error:  # any error of Inductor, Dynamo or the C++ compiler
            reason = str(error).strip().splitlines() or [type(error).__name__]
            log.warning("torch.compile failed (%s); going on eager", reason[0])
            self._chosen, self._is_compiled = self._plain, False
            return self._plain(*arguments)


def _region(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` behind code of its own, since compiled code is kept by code: two agents must not share it."""

    def region(*arguments: Any) -> Any:
        return function(*arguments)

    code = region.__code__.replace(co_name=f"region_{next(_regions)}")
    return types.FunctionType(code, region.__globals__, code.co_name, None, region.__closure__)


def _graph_of(function: Callable[[], Any]) -> Callable[[], Any]:
    """``function`` as a CUDA graph. Capturing runs nothing: the first call of what is returned does."""
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = function()

    def replay() -> Any:
        graph.replay()
        return result

    return replay
