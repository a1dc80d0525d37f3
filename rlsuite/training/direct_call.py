"""Call compiled code directly, without the checks of the general entry."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten


class _Run(NamedTuple):
    """One call of the code that Inductor generated for a region, with its inputs and outputs."""

    code: Callable[[list[Any]], list[Any]]
    inputs: list[Any]
    outputs: list[Any]


class DirectCall:
    """A compiled region without arguments that calls its generated code directly after two recorded calls.

    At each call ``torch.compile`` fetches the inputs of its code anew, attribute by attribute, and passes them and the
    results through several layers of Python. ``docs/benchmarks.md`` has the time that this takes. The first two calls
    are recorded. If both ran the same code once, on the same CPU tensors, and the region returned exactly the outputs
    of that code, later calls run the code directly. Otherwise, as on CUDA, whose graphs run no Python, they go through
    ``torch.compile`` as before.

    Args:
        region: what ``torch.compile`` returned, called before. It must always work on the same tensors and change them
            by their methods: ``self.count += 1`` sets an attribute too, so that the region returns it.

    Attributes:
        is_direct: whether calls go straight to the code.
    """

    def __init__(self, region: Callable[[], Any]) -> None:
        self._region = region
        self._first: _Run | None = None  # of the two recorded calls
        self._call = self._watched
        self.is_direct = False

    def __call__(self) -> Any:
        return self._call()

    def _watched(self) -> Any:
        with _recorded() as runs:
            result = self._region()
        leaves, layout = ([], None) if result is None else tree_flatten(result)
        first, self._first = self._first, None
        if len(runs) != 1 or not _are_the_same(runs[0].outputs, leaves):
            self._call = self._region
        elif first is None:
            self._first = runs[0]
        elif _is_repeated(first, runs[0]):
            self._call, self.is_direct = _straight(runs[0], layout), True
        else:
            self._call = self._region
        return result


def _is_repeated(first: _Run, second: _Run) -> bool:
    """Whether both ran one piece of code on the same tensors of the CPU."""
    on_cpu = all(isinstance(each, Tensor) and each.device.type == "cpu" for each in second.inputs)
    return on_cpu and first.code is second.code and _are_the_same(first.inputs, second.inputs)


def _straight(run: _Run, layout: Any) -> Callable[[], Any]:
    """Return a function that repeats a recorded call; ``layout`` is the structure of its outputs, None for none."""
    code, inputs = run.code, run.inputs

    def call() -> Any:
        outputs = code(inputs.copy())
        return None if layout is None else tree_unflatten(outputs, layout)

    return call


def _are_the_same(some: list[Any], others: list[Any]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


@contextmanager
def _recorded() -> Iterator[list[_Run]]:
    """Yield a list that records the calls of compiled code made in the context."""
    from torch._inductor.output_code import CompiledFxGraph  # this import takes seconds

    runs: list[_Run] = []
    call = CompiledFxGraph.__call__

    def recording(graph: CompiledFxGraph, inputs: Any) -> Any:
        taken = list(inputs)  # the code empties the list it is given
        outputs = call(graph, inputs)
        assert graph.current_callable is not None
        runs.append(_Run(graph.current_callable, taken, list(outputs)))
        return outputs

    CompiledFxGraph.__call__ = recording  # type: ignore[method-assign, assignment]
    try:
        yield runs
    finally:
        CompiledFxGraph.__call__ = call  # type: ignore[method-assign]
