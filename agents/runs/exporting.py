"""A trained policy as a file that acts without this project: an ONNX model, or a program of ``torch.export``.

The file holds all that lies between the tensor of an observation and the action: normalisation, encoder, memory, and
the scale of actions. One seed acts, without exploring. A policy with a memory takes what it remembers, zeros where an
episode begins, and returns what to remember.

Shapes: B observations; M numbers of memory.
"""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from agents.runs.run import Run, environments, load_agent, row_of, shard, shown
from rlsuite.agent import ActingState

Kind = Literal["onnx", "torch"]
Arrays = list[np.ndarray]

_CHECKED = 200  # env steps on which the file is compared with the agent
_TIES = 0.02  # of them, at most, on which rounding may choose another of two actions
_TOLERATED = 1e-5  # difference of a number, beside the largest of its kind


class Exported(NamedTuple):
    """Names of inputs and outputs, and how far the file is from the agent."""

    inputs: list[str]
    outputs: list[str]
    observations: int
    difference: float  # the largest of all outputs, beside the largest number of each; beside 1 for small ones


class Policy(nn.Module):
    """Observations ``[B, ...]`` and memories ``[B, M]`` to actions ``[B, ...]`` and the next memories.

    Args:
        agent: of one seed.
        observation: one, as the agent sees it.
    """

    def __init__(self, agent: Any, observation: Tensor) -> None:
        super().__init__()
        self.agent = agent
        self.env_step = torch.zeros((), dtype=torch.int64, device=observation.device)
        state = agent.initial_state(1)
        acted = self._act(observation.unsqueeze(0), state)
        # What acting leaves as it is, such as a process of noise, is no memory.
        self.memories = [name for name in state if acted.state[name] is not state[name]]

    def _act(self, observation: Tensor, state: ActingState) -> Any:
        began = torch.zeros(1, observation.shape[0], dtype=torch.bool, device=observation.device)
        return self.agent.act(observation.unsqueeze(0), state, began, self.env_step, explore=False)

    def initial(self, count: int) -> tuple[Tensor, ...]:
        """Memory at the beginning of an episode, ``[B, M]`` each: zeros."""
        state = self.agent.initial_state(count)
        return tuple(state[name][0] for name in self.memories)

    def forward(self, observation: Tensor, *memories: Tensor) -> tuple[Tensor, ...]:
        remembered = {name: memory.unsqueeze(0) for name, memory in zip(self.memories, memories, strict=True)}
        acted = self._act(observation, self.agent.initial_state(observation.shape[0]) | remembered)
        return acted.action[0], *(acted.state[name][0] for name in self.memories)


def export(run: Run, kind: Kind, path: Path, checkpoint: str = "best", seed: int | None = None) -> Exported:
    """Write the policy of a run, and compare the file with the agent on a part of an episode.

    Raises:
        ValueError: the run has no such seed, packages are missing, or the agent cannot be exported or differs.
        CheckpointError: the checkpoint is missing or damaged.
    """
    row = row_of(run, seed)
    seed, alone = run.seeds[row], shard(run, row, row + 1)
    checkpoint = shown(run, checkpoint)
    agent = load_agent(run, checkpoint, seed)
    test = environments(alone, "test", 1)
    try:
        observation = test.reset()[0]
        policy = Policy(agent, observation[0])
        inputs, outputs = ["observation", *policy.memories], ["action", *(f"next_{name}" for name in policy.memories)]
        about = {
            "agent": run.agent_name,
            "env": run.config.env,
            "seed": seed,
            "checkpoint": checkpoint,
            "observation_space": str(test.observation_space),
            "action_space": str(test.action_space),
        }
        with _traced(run.agent_name):
            # Two, since programs of a batch of one may be for one only.
            program = _program(policy, torch.cat([observation, observation]))
            if kind == "onnx":
                _write_onnx(program, path, inputs, outputs, about)
            else:
                torch.export.save(program, path, extra_files={"rlsuite.json": json.dumps(about)})
        difference, steps = _difference(policy, _loaded(kind, path), test, observation)
    finally:
        test.close()
    if not difference <= _TOLERATED:
        raise ValueError(f"{path} is {difference:.1g} from the agent, more than {_TOLERATED:g}: do not use it")
    return Exported(inputs, outputs, steps, difference)


@contextmanager
def _traced(agent: str) -> Iterator[None]:
    """Quietly, and errors of tracing in a line."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        # What torch prints of a program that it cannot trace is for those who write torch.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except (ModuleNotFoundError, OSError):
        raise
    except GuardOnDataDependentSymNode as error:
        raise ValueError(f"{agent} cannot be exported: how it computes an action depends on what it sees") from error
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{agent} cannot be exported: {first}") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _program(policy: Policy, observation: Tensor) -> torch.export.ExportedProgram:
    memories = policy.initial(len(observation))
    batch = {0: torch.export.Dim("batch")}
    axes: tuple[Any, ...] = (batch, tuple(batch for _ in memories)) if memories else (batch,)
    with torch.no_grad():
        return torch.export.export(policy, (observation, *memories), dynamic_shapes=axes, strict=False)


def _write_onnx(
    program: torch.export.ExportedProgram, path: Path, inputs: list[str], outputs: list[str], about: dict[str, Any]
) -> None:
    import onnx
    import onnxruntime  # noqa: F401  that it is there is known before the work
    import onnxscript  # noqa: F401

    written = torch.onnx.export(
        program, dynamo=True, input_names=inputs, output_names=outputs, verbose=False, external_data=False
    )
    assert written is not None
    model = written.model_proto
    onnx.helper.set_model_props(model, {"rlsuite": json.dumps(about)})
    onnx.save(model, path)


def _loaded(kind: Kind, path: Path) -> Callable[[list[Tensor]], Arrays]:
    """The file as a function."""
    if kind == "torch":
        module = torch.export.load(path).module()
        return lambda tensors: [tensor.numpy(force=True) for tensor in module(*tensors)]
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda tensors: session.run(
        None, dict(zip(names, (tensor.numpy(force=True) for tensor in tensors), strict=True))
    )


@torch.no_grad()
def _difference(
    policy: Policy, run: Callable[[list[Tensor]], Arrays], test: Any, observation: Tensor
) -> tuple[float, int]:
    """The largest difference on the way of an agent's episodes, and the number of observations."""
    memories, largest, other_moves = policy.initial(1), 0.0, 0
    for _ in range(_CHECKED):
        wanted = policy(observation, *memories)
        found = run([observation, *memories])
        for one, other in zip(wanted, found, strict=True):
            own = one.double().numpy(force=True)
            if not one.is_floating_point():  # of two actions that are worth the same, either is right
                other_moves += int((own != other).any())
                continue
            gap = np.abs(own - other.astype(np.float64)).max(initial=0.0)
            largest = max(largest, float(gap / max(1.0, np.abs(own).max(initial=0.0))))
        step = test.step(wanted[0].unsqueeze(0))
        observation, memories = step.observation[0], wanted[1:]
        if bool(step.began[0, 0]):
            memories = policy.initial(1)
    return (1.0 if other_moves > _CHECKED * _TIES else largest), _CHECKED
