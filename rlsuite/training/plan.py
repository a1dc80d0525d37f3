"""Decide which functions of a run are compiled or captured.

Nothing else knows about execution. Methods that may be compiled are tensor operations on state that is updated in
place; here the outermost of them that a run allows is replaced by its compiled form, and what it calls is inlined.
"""

import operator
from typing import Any

from rlsuite.training.collector import Collector
from rlsuite.training.execution import Execution, captured, compiled, on_copies
from rlsuite.training.worker import Worker

_SHORT_ROUND = 2  # vector steps, and updates: compiling takes time in proportion


def compile_worker(worker: Worker[Any], execution: Execution) -> None:
    """Compile what may be compiled of a worker, in place.

    Where compiled code of the experience is not to be trusted, what touches it is captured as it is, and what lies
    around the experience is compiled by itself.

    - Environments on the device, and a round of at most two vector steps and two updates: the whole round.
    - Else an update with its sampling where the learner allows (``compilable`` names ``update``), or the parts of it
      that the learner names; and of collecting, a vector step on the device, or what is done with a step of the host.
    """
    learner, source = worker.learner, worker.source
    parts: tuple[str, ...] = getattr(learner, "compilable", ())
    make = compiled
    if not _compiles(source):
        make = captured
        _compile_around_experience(worker, "update" in parts, execution)
    if "update" in parts and isinstance(source, Collector) and _is_short(source):
        _replace(worker, "collect_and_learn", make(worker.collect_and_learn, execution, once=lambda: _warm(worker)))
        return
    if isinstance(source, Collector) and source.environments.on_device:
        _replace(source, "step", make(source.step, execution))
    elif isinstance(source, Collector) and source.acts_ahead:
        _replace(source, "take", on_copies(source.take, execution, make))
    if "update" in parts:
        _replace(worker, "learn", make(worker.learn, execution, once=lambda: _warm(worker)))
        return
    for part in parts:  # dots lead to an agent inside another
        holder = operator.attrgetter(part.rpartition(".")[0])(learner) if "." in part else learner
        name = part.rpartition(".")[2]
        _replace(holder, name, on_copies(getattr(holder, name), execution))


def _compile_around_experience(worker: Worker[Any], update: bool, execution: Execution) -> None:
    """Compile the steps that fill the experience and the update; what calls them is captured, so they need not be."""
    source = worker.source
    inner: Execution = "compile" if execution == "graph" else execution
    if update:
        _replace(worker.learner, "update", compiled(worker.learner.update, inner))
    if isinstance(source, Collector) and source.environments.on_device:
        _replace(source.environments, "receive", compiled(source.environments.receive, inner))
        _replace(source, "act", compiled(source.act, inner))


def _compiles(source: Any) -> bool:
    return getattr(getattr(source, "experience", None), "compilable", True)


def _is_short(source: Collector) -> bool:
    return source.environments.on_device and max(source.vector_steps, source.updates_a_round) <= _SHORT_ROUND


def _warm(worker: Worker[Any]) -> bool:
    """Whether an update has allocated what the others add to."""
    return worker.has_sums


def _replace(holder: Any, name: str, function: Any) -> None:
    setattr(holder, name, function)
