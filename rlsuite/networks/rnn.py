"""Recurrent networks that read a sequence and answer once."""

from typing import Literal

from torch import Tensor, nn


class LastOutput(nn.Module):
    """A recurrent layer that answers with its last hidden output: sequences ``[B, T, F]`` to ``[B, H]``."""

    def __init__(self, inputs: int, hidden: int, cell: Literal["lstm", "gru"] = "lstm") -> None:
        super().__init__()
        self.recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](inputs, hidden, batch_first=True)

    def forward(self, sequence: Tensor) -> Tensor:
        outputs, _ = self.recurrent(sequence)
        return outputs[:, -1]


def reader(inputs: int, hidden: int, outputs: int, cell: Literal["lstm", "gru"] = "lstm") -> nn.Sequential:
    """Sequences ``[B, T, inputs]``, read by an LSTM (Hochreiter and Schmidhuber, 1997) or a GRU; ``[B, outputs]``."""
    return nn.Sequential(LastOutput(inputs, hidden, cell), nn.Linear(hidden, outputs))
