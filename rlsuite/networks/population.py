"""Many seeds as one program: S networks whose parameters are the rows of one matrix.

``Population`` is the only place that knows how S plain, single-seed ``nn.Module``s run as one. A row holds all
parameters of a seed, so that what is done per seed is done per row: a gradient norm is the norm of a row, a target
network is a copy of the matrix, and a checkpoint is one tensor. Losses average over a seed's batch and are summed over
the seeds, so that each row's gradient is the one the seed would have had alone.

A module may say itself how S of it run as one: ``stacked(child, named, *inputs)``, where ``named`` are its parameters
``[S, ...]``, inputs are ``[S, B, ...]`` and ``child(name, *inputs)`` runs S of the submodule of that name.

Weights of two axes are stored as the products of updates take and give them: inputs by outputs, or outputs by inputs
where outputs are few, since products with a thin right side take up to twelve times as long.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from rlsuite import ranks
from rlsuite.compiling import materialised
from rlsuite.networks import modes
from rlsuite.networks.precision import Bfloat16, rounding
from rlsuite.state import restore

Parameters = Tensor | dict[str, Tensor]  # of S networks: a matrix [S, P], or by name [S, ...]
Loss = Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]  # of parameters [S, P]: losses [S], and metrics by name

# Layers with this many outputs are quicker as one sum for each output, fused with the code around it, than as a matrix
# product. One output is a product of a matrix and a vector, at which libraries are as quick.
_VERY_FEW = 4


class Population:
    """S copies of the network that ``build`` makes, copy k initialised as ``torch.manual_seed(seeds[k])`` alone would.

    Args:
        build: makes one single-seed module, ``[B, ...]`` in and ``[B, ...]`` out.
        seeds: one integer a copy.
        device: where the parameters live.

    Attributes:
        parameters: ``[S, P]``, the rows that are trained.
        buffers: other tensors of the module by name, ``[S, ...]``: what batch norm has seen. Networks without any have
            none, and agents should use these, since what acts must not depend on what else is in a batch.
    """

    def __init__(
        self, build: Callable[[], nn.Module], seeds: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        rows, buffers = [], []
        with torch.random.fork_rng(devices=[]):
            for seed in seeds:
                torch.manual_seed(seed)
                module = build()
                rows.append(torch.cat([_turned(parameter).flatten() for parameter in module.parameters()]).detach())
                buffers.append(dict(module.named_buffers()))
        self.parameters = torch.stack(rows).to(device)
        self.buffers = {name: torch.stack([own[name] for own in buffers]).to(device) for name in buffers[0]}
        self.module = module.to("meta").eval()
        self._names = [name for name, _ in module.named_parameters()]
        self._shapes = [parameter.shape for parameter in module.parameters()]
        self._sizes = [parameter.numel() for parameter in module.parameters()]

    def named(self, parameters: Tensor) -> dict[str, Tensor]:
        """The matrix ``[S, P]`` as the module's named parameters ``[S, ...]``: views, not copies."""
        pieces = parameters.split(self._sizes, dim=1)
        return {
            name: _turned_back(piece, shape)
            for name, piece, shape in zip(self._names, pieces, self._shapes, strict=True)
        }

    def single(self, row: int) -> nn.Module:
        """The network of one seed as a plain module, a copy to look into."""
        network = copy.deepcopy(self.module)
        tensors = {name: tensor[row].detach() for name, tensor in (self.named(self.parameters) | self.buffers).items()}
        network.load_state_dict(tensors, strict=False, assign=True)
        return network.eval().requires_grad_(False)

    def __call__(self, *inputs: Any, parameters: Parameters | None = None, part: str | None = None) -> Any:
        """Each seed's network on its own inputs ``[S, B, ...]``; with other ``parameters`` if given.

        These are a matrix ``[S, P]``, or what ``named`` makes of one.

        Of a network whose parts are called one by one, ``part`` is the name of the submodule to call.
        """
        parameters = self.parameters if parameters is None else parameters
        named = (parameters if isinstance(parameters, dict) else self.named(parameters)) | self.buffers
        return _stacked(self.module, named, *inputs) if part is None else _child(self.module, part, named, *inputs)


def _is_turned(shape: Sequence[int]) -> bool:
    """Whether a parameter of that shape is stored the other way round: weights are, unless their outputs are few."""
    return len(shape) == 2 and shape[0] > 1 and 8 * shape[0] > shape[1]


def _turned(parameter: Tensor) -> Tensor:
    return parameter.mT if _is_turned(parameter.shape) else parameter


def _turned_back(stored: Tensor, shape: Sequence[int]) -> Tensor:
    """Stored parameters ``[S, P]`` as the module knows them, ``[S, *shape]``."""
    return stored.view(-1, *reversed(shape)).mT if _is_turned(shape) else stored.view(-1, *shape)


_ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.SiLU, nn.SELU, nn.Sigmoid, nn.Softplus, nn.Identity)


def _stacked(module: nn.Module, named: dict[str, Tensor], *inputs: Any) -> Any:
    """S copies of a module, parameters ``[S, ...]`` by name, on inputs ``[S, B, ...]``, by the quickest way known."""
    if isinstance(module, nn.Sequential):
        (output,) = inputs
        for name, child in module.named_children():
            output = _stacked(child, _below(name, named), output)
        return output
    if isinstance(module, Bfloat16):
        with rounding(inputs[0].device):
            return _stacked(module.module, _below("module", named), *inputs).float()
    if hasattr(module, "stacked"):
        as_one: Callable[..., Any] = module.stacked  # type: ignore[assignment]
        return as_one(lambda name, *own: _child(module, name, named, *own), named, *inputs)
    if isinstance(module, nn.Linear) and inputs[0].dim() == 3:
        # One batched product, which is quicker than the code of vmap. One seed takes the same path as several, and no
        # algorithm is chosen by the number of seeds, so that a seed's results do not depend on it, to the last bit.
        weight, bias, x = named["weight"], named["bias"], inputs[0]
        if _is_turned(weight.shape[1:]) or x.shape[1] == 1:
            return torch.bmm(x, weight.mT) + bias.unsqueeze(1)
        if 1 < weight.shape[1] <= _VERY_FEW and torch.compiler.is_compiling() and x.device.type == "cpu":
            return (x.unsqueeze(2) * weight.unsqueeze(1)).sum(dim=-1) + bias.unsqueeze(1)
        return torch.bmm(weight, x.mT).mT + bias.unsqueeze(1)
    if isinstance(module, _ELEMENTWISE):
        return module(inputs[0])
    if isinstance(module, nn.Flatten):
        return inputs[0].flatten(2)
    if module.training is not modes.is_training():
        module.train(modes.is_training())
    if len(inputs[0]) == 1:
        alone = {name: tensor.squeeze(0) for name, tensor in named.items()}
        return functional_call(module, alone, tuple(own[0] for own in inputs)).unsqueeze(0)
    if _needs_rows(module, inputs[0].device):
        rows = [{name: tensor[k] for name, tensor in named.items()} for k in range(len(inputs[0]))]
        outputs = [functional_call(module, row, tuple(own)) for row, *own in zip(rows, *inputs, strict=True)]
        return torch.stack(outputs)
    return vmap(lambda own, *x: functional_call(module, own, x))(named, *inputs)


def _needs_rows(module: nn.Module, device: torch.device) -> bool:
    """Whether S copies of a leaf module run one after the other, since ``vmap`` has no good rule for it.

    It has none for recurrent layers, nor for batch norm, which changes its buffers, nor for group norm of some memory
    orders; of convolutions it makes grouped ones, which are slow on CPUs.
    """
    slow = (nn.Conv2d, nn.Conv1d, nn.ConvTranspose1d) if device.type == "cpu" else ()
    kinds = (nn.RNNBase, nn.modules.batchnorm._BatchNorm, nn.GroupNorm, *slow)
    return any(isinstance(part, kinds) for part in module.modules())


def _child(module: nn.Module, name: str, named: dict[str, Tensor], *inputs: Any) -> Any:
    return _stacked(module.get_submodule(name), _below(name, named), *inputs)


def _below(child: str, named: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = child + "."
    return {name.removeprefix(prefix): tensor for name, tensor in named.items() if name.startswith(prefix)}


def gradient(loss: Loss, parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The gradient ``[S, P]`` of ``loss(parameters) -> (per-seed losses [S], metrics)`` summed over seeds, and metrics.

    Where there are several ranks, the gradient is the mean of theirs. Eager code uses autograd, which costs less a
    call; a compiled region can trace only ``torch.func``.
    """

    def total(parameters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        losses, metrics = loss(parameters)
        return losses.sum(), metrics

    if torch.compiler.is_compiling():
        return torch.func.grad(total, has_aux=True)(parameters)
    leaf = parameters.detach().requires_grad_()
    value, metrics = total(leaf)
    (gradients,) = torch.autograd.grad(value, leaf)
    return ranks.averaged(gradients), {name: metric.detach() for name, metric in metrics.items()}


def clip_rows(gradient: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Each seed's gradient ``[S, P]`` scaled to a norm of at most ``limit``, and the norms before ``[S]``."""
    norm = gradient.norm(dim=1)
    return gradient * (limit / norm.clamp(min=limit)).unsqueeze(1), norm


class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1) on the rows of a parameter matrix, each with its own learning rate.

    torch's optimiser takes one learning rate a group and counts steps on the host; this one is a handful of in-place
    tensor operations that compile and capture, and a sweep over learning rates is just a vector.
    """

    def __init__(
        self, parameters: Tensor, learning_rate: Tensor, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.learning_rate = learning_rate.to(parameters.device, torch.float32)  # [S]
        self.betas, self.eps = betas, eps
        self.first_moment = torch.zeros_like(parameters)
        self.second_moment = torch.zeros_like(parameters)
        self.updates = torch.zeros(len(parameters), dtype=torch.int64, device=parameters.device)  # [S]

    def step(self, parameters: Tensor, gradient: Tensor, scale: Tensor | float = 1.0) -> None:
        """Move ``parameters`` ``[S, P]`` in place; ``scale`` multiplies the learning rate (a schedule)."""
        beta_1, beta_2 = self.betas
        self.updates.add_(1)
        self.first_moment.lerp_(gradient, 1 - beta_1)
        self.second_moment.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
        # Bias corrections as in the efficient form of the paper's section 2, with eps on the corrected scale.
        size = (self.second_moment * materialised(1 / (1 - beta_2**self.updates)).unsqueeze(1)).sqrt_().add_(self.eps)
        rate = materialised(scale * self.learning_rate / (1 - beta_1**self.updates)).unsqueeze(1)
        parameters.sub_(rate * self.first_moment / size)

    def step_some(self, active: Tensor, parameters: Tensor, gradient: Tensor, scale: Tensor | float = 1.0) -> None:
        """Take a ``step``, but leave all that belongs to seeds that are not ``active`` ``[S]`` as it is."""
        moved = parameters, self.first_moment, self.second_moment, self.updates
        before = [tensor.clone() for tensor in moved]
        self.step(parameters, gradient, scale)
        for now, then in zip(moved, before, strict=True):
            now.copy_(torch.where(active.view(-1, *[1] * (now.dim() - 1)), now, then))

    def minimise(
        self,
        loss: Loss,
        parameters: Tensor,
        limit: float | None = None,
        scale: Tensor | float = 1.0,
        norm: str = "gradient/norm",
    ) -> dict[str, Tensor]:
        """Take a step down the ``gradient`` of ``loss``, which is scaled seed by seed to a norm of at most ``limit``.

        Returns the metrics of the loss and, where it is limited, the norm by the name ``norm``.
        """
        gradients, metrics = gradient(loss, parameters)
        if limit is not None:
            gradients, metrics[norm] = clip_rows(gradients, limit)
        self.step(parameters, gradients, scale)
        return metrics

    def state_dict(self) -> dict[str, Tensor]:
        return {"first_moment": self.first_moment, "second_moment": self.second_moment, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        restore(self.state_dict(), state)
