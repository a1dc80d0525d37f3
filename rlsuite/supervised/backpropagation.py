"""Fully connected networks whose gradients are written by hand (Rumelhart, Hinton and Williams, 1986).

Forward: with a_0 the input, layer l does

    h_l = a_(l-1) W_l + b_l        a_l = g(h_l)

Backward: with delta_l the derivative of the loss with respect to h_l,

    delta_l = (delta_(l+1) W_(l+1)') * g'(h_l)                for hidden layers
    dL/dW_l = a_(l-1)' delta_l                                which is what a step takes away from W_l,
    dL/db_l = the sum of delta_l over the examples            times the learning rate

    hidden "sigmoid"    g(h) = 1 / (1 + exp(-s h))    g' = s a (1 - a), with a slope s that is 1 unless said
    hidden "relu"       g(h) = max(0, h)              g' = 1 where a > 0, else 0

    output "linear"     y = h              loss 1/2 |y - t|^2     delta = y - t
    output "logistic"   y = sigmoid(s h)   loss 1/2 |y - t|^2     delta = (y - t) s y (1 - y)
    output "softmax"    y = softmax(h)     loss -sum of t log y   delta = y - t

An example with three inputs, three hidden units and three outputs, all sigmoids without biases:

>>> network = Network((3, 3, 3), hidden="sigmoid", output="logistic", has_bias=False)
>>> numbers = lambda *rows: torch.tensor([rows], dtype=torch.float64)
>>> weights = {
...     "weights.0": numbers([0.9, 0.2, 0.1], [0.3, 0.8, 0.5], [0.4, 0.2, 0.6]),
...     "weights.1": numbers([0.3, 0.6, 0.8], [0.7, 0.5, 0.1], [0.5, 0.2, 0.9]),
... }
>>> _, hidden, output = network.signals(weights, numbers([0.9, 0.1, 0.8]))
>>> [round(number, 8) for number in hidden.flatten().tolist()]
[0.76133271, 0.60348325, 0.65021855]
>>> [round(number, 8) for number in output.flatten().tolist()]
[0.72630335, 0.70859807, 0.77809706]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.supervised.by_hand import Tensors

_START_STREAM = 44


@dataclass(frozen=True)
class Network:
    """Layers of S networks, one a seed; their weights are kept apart, ``[S, inputs, outputs]`` a layer.

    Attributes:
        sizes: numbers of inputs, of units of each hidden layer, and of outputs.
        hidden: what hidden units do.
        output: what outputs do, and the loss that goes with it.
        has_bias: whether there are biases.
        slope: of the sigmoids.
    """

    sizes: Sequence[int]
    hidden: Literal["sigmoid", "relu"]
    output: Literal["linear", "logistic", "softmax"]
    has_bias: bool = True
    slope: float = 1.0

    def start(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> Tensors:
        """Weights drawn with standard deviation ``inputs ** -0.5``, so that sums are about as large as their parts."""
        numbers = torch.tensor(seeds, dtype=torch.int64)
        found = {}
        for layer, (inputs, outputs) in enumerate(pairwise(self.sizes)):
            keys = random.key(numbers, _START_STREAM, layer)
            found[f"weights.{layer}"] = (random.normal(keys, inputs, outputs) * inputs**-0.5).to(device)
            if self.has_bias:
                found[f"bias.{layer}"] = torch.zeros(len(seeds), outputs, device=device)
        return found

    def signals(self, tensors: Tensors, inputs: Tensor) -> list[Tensor]:
        """The inputs ``[S, B, F]`` and what each layer makes of them."""
        found = [inputs]
        last = len(self.sizes) - 2
        for layer in range(last + 1):
            total = found[-1] @ tensors[f"weights.{layer}"]
            if self.has_bias:
                total = total + tensors[f"bias.{layer}"].unsqueeze(1)
            found.append(self._output(total) if layer == last else self._hidden(total))
        return found

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss ``[S]`` of outputs and targets ``[S, B, A]``."""
        if self.output == "softmax":
            return -(targets * outputs.clamp(min=1e-38).log()).sum(dim=2).mean(dim=1)
        return 0.5 * (outputs - targets).square().sum(dim=2).mean(dim=1)

    def deltas(self, tensors: Tensors, signals: Sequence[Tensor], targets: Tensor) -> list[Tensor]:
        """Of each layer the derivative of the mean loss with respect to its sums ``[S, B, outputs]``."""
        outputs = signals[-1]
        delta = (outputs - targets) / targets.shape[1]
        if self.output == "logistic":
            delta = delta * self._sigmoid_derivative(outputs)
        found = [delta]
        for layer in reversed(range(1, len(self.sizes) - 1)):
            below = signals[layer]
            derivative = self._sigmoid_derivative(below) if self.hidden == "sigmoid" else (below > 0.0)
            found.insert(0, (found[0] @ tensors[f"weights.{layer}"].mT) * derivative)
        return found

    def _hidden(self, total: Tensor) -> Tensor:
        return (self.slope * total).sigmoid() if self.hidden == "sigmoid" else total.relu()

    def _output(self, total: Tensor) -> Tensor:
        match self.output:
            case "logistic":
                return (self.slope * total).sigmoid()
            case "softmax":
                return total.softmax(dim=-1)
        return total

    def _sigmoid_derivative(self, activation: Tensor) -> Tensor:
        return self.slope * activation * (1.0 - activation)


def descend(network: Network, learning_rate: float) -> Callable[[Tensors, Any], Tensors]:
    """The rule of gradient descent, for batches with ``inputs`` ``[S, B, F]`` and ``targets`` ``[S, B, A]``."""

    def rule(tensors: Tensors, batch: Any) -> Tensors:
        signals = network.signals(tensors, batch.inputs)
        deltas = network.deltas(tensors, signals, batch.targets)
        for layer, (below, delta) in enumerate(zip(signals, deltas, strict=False)):
            tensors[f"weights.{layer}"].baddbmm_(below.mT, delta, alpha=-learning_rate)  # less the rate times a' delta
            if network.has_bias:
                tensors[f"bias.{layer}"].sub_(delta.sum(dim=1), alpha=learning_rate)
        return {"loss/train": network.loss(signals[-1], batch.targets)}

    return rule
