"""The economies by name: every file in ``models`` that defines one, and any file of the user's own."""

import difflib
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.deqn import models
from rlsuite.deqn.box import Box
from rlsuite.deqn.calibration import changed
from rlsuite.deqn.config import SolverConfig
from rlsuite.deqn.model import Model, Policy, residuals
from rlsuite.faults import told


def names() -> list[str]:
    """The registered models, without importing any of them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(models.__path__))


def find(name: str) -> type[Model]:
    """The model of that name, or the one that a Python file defines.

    Raises:
        ValueError: no such model or file, or a file that does not define exactly one.
    """
    if name.endswith(".py"):
        return _only_model(_import_file(Path(name)), name)
    if name not in names():
        raise ValueError(_unknown("model", name, names()))
    return _only_model(importlib.import_module(f"{models.__name__}.{name.replace('-', '_')}"), name)


def build(name: str, calibration: str | None = None, parameters: Mapping[str, Any] | None = None) -> Model:
    """A checked model with one of its calibrations, by default its first, in which some parameters may be others.

    Raises:
        ValueError: unknown names, impossible values, or a model that breaks the contract of ``check``.
    """
    model_class, chosen = choose(name, calibration, parameters)
    model = model_class(chosen)
    model.calibration = chosen
    check(model, name)
    return model


def tuned(name: str, calibration: str | None = None, parameters: Mapping[str, Any] | None = None) -> SolverConfig:
    """The solver's settings that a model comes with; raises as ``build``."""
    model_class, chosen = choose(name, calibration, parameters)
    return SolverConfig(**model_class.tuned(chosen))


def choose(
    name: str, calibration: str | None = None, parameters: Mapping[str, Any] | None = None
) -> tuple[type[Model], Any]:
    """The model of that name and its calibration with some parameters changed; raises as ``build``."""
    model_class = find(name)
    known = list(model_class.calibrations)
    if calibration is not None and calibration not in known:
        raise ValueError(_unknown(f"calibration of {name}", calibration, known))
    return model_class, changed(model_class.calibrations[calibration or known[0]], parameters or {})


def check(model: Model, name: str) -> None:
    """Run a model once on a few states and hold every output against what it declares.

    Raises:
        ValueError: names what does not fit: columns, features, starting states outside the economy, equations that are
            missing, misnamed or not finite.
    """
    state = model.initial_state(torch.tensor(0), 8)
    _require(name, "initial_state", tuple(state.shape), (8, len(model.state_names)))
    features = model.features(state)
    _require(name, "features", (features.shape[0], features.shape[-1]), (8, model.num_features))
    _require(name, "features.dtype", features.dtype, torch.float64)

    def untrained(state: Tensor) -> Policy:
        return model.head(state.new_zeros(*model.features(state).shape[:-1], model.num_outputs), state)

    if not model.feasible(state, untrained(state)).all():
        raise ValueError(f"{name}: initial_state starts outside the feasible set: change the calibration or the start")
    box = Box.around(model, state).spread(model, state, random.key(torch.tensor(0)))
    _require(name, "moved", tuple(box.shape), tuple(state.shape))
    if not model.feasible(box, untrained(box)).all():
        raise ValueError(
            f"{name}: a box around initial_state leads outside the feasible set: "
            "define coordinates() and moved(), in which every state of a box can exist"
        )
    found = residuals(model, untrained, state)
    if tuple(found) != model.equation_names:
        missing = [equation for equation in model.equation_names if equation not in found]
        extra = [equation for equation in found if equation not in model.equation_names]
        fault = f"missing {missing}, undeclared {extra}" if missing or extra else "their order differs"
        raise ValueError(
            f"{name}: residuals() gives {list(found)}, equation_names says {list(model.equation_names)}: {fault}"
        )
    for equation, residual in found.items():
        if residual.shape[0] != 8 or residual.ndim > 2:
            raise ValueError(
                f"{name}: equation {equation!r} has shape {tuple(residual.shape)} for 8 states, not [8] or [8, n]"
            )
        if not residual.isfinite().all():
            raise ValueError(f"{name}: equation {equation!r} is not finite at the starting states")
    strangers = set(model.exogenous) - set(model.state_names)
    if strangers:
        raise ValueError(f"{name}: exogenous must name some of {list(model.state_names)}, not {list(model.exogenous)}")
    strangers = set(model.euler_curvature) - set(model.equation_names)
    if strangers or not model.euler_curvature:
        raise ValueError(
            f"{name}: euler_curvature must name some of {list(model.equation_names)}, not {list(model.euler_curvature)}"
        )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.3)
    return close[0] if close else None


def _unknown(kind: str, name: str, known: list[str]) -> str:
    close = nearest(name, known)
    hint = f"did you mean {close!r}? " if close else ""
    return f"there is no {kind} named {name!r}: {hint}known are {', '.join(known)}"


def _require(name: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise ValueError(f"{name}: {what} is {found}, but the model declares {wanted}")


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"there is no model file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # anything the user's file may raise
        raise ValueError(f"{path} cannot be imported: {told(error)}") from error
    return module


def _only_model(module: ModuleType, name: str) -> type[Model]:
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Model) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise ValueError(f"{name} must define exactly one Model, but defines {[c.__name__ for c in own] or 'none'}")
    if inspect.isabstract(own[0]):
        lacking = ", ".join(sorted(own[0].__abstractmethods__))
        raise ValueError(f"{name}: {own[0].__name__} does not define {lacking}")
    if not getattr(own[0], "calibrations", None):
        raise ValueError(f"{name}: {own[0].__name__} names no calibrations")
    return own[0]
