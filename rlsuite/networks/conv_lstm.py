"""An LSTM whose products are convolutions, for sequences of pictures (Shi et al., 2015)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Child = Callable[..., Any]


class ConvLSTM(nn.Module):
    """Pictures ``[B, T, C, H, W]`` to outputs ``[B, T, channels, H, W]``, with a state that the caller keeps.

    The state ``[B, state_channels, H, W]`` is the last outputs and the cells; ``reset`` ``[B, T]`` says where it is set
    to zero, as in ``RecurrentBackbone``.

    Args:
        inputs: C.
        channels: of the outputs.
        kernel: an odd width of the convolutions, so that pictures keep their size.
    """

    def __init__(self, inputs: int, channels: int, kernel: int = 5) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the kernel must be odd to keep the pictures' size, not {kernel}")
        self.channels, self.state_channels = channels, 2 * channels
        self.into = nn.Conv2d(inputs, 4 * channels, kernel, padding=kernel // 2)
        self.own = nn.Conv2d(channels, 4 * channels, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor, state: Tensor | None = None, reset: Tensor | None = None) -> tuple[Tensor, Tensor]:
        def child(name: str, x: Tensor) -> Tensor:
            layer: nn.Module = getattr(self, name)
            return layer(x.squeeze(0)).unsqueeze(0)

        one = (None if own is None else own.unsqueeze(0) for own in (x, state, reset))
        outputs, state = self.stacked(child, {}, *one)  # type: ignore[arg-type]
        return outputs.squeeze(0), state.squeeze(0)

    def stacked(
        self,
        child: Child,
        named: dict[str, Tensor],
        x: Tensor,
        state: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same for S networks, with inputs ``[S, B, ...]``."""
        seeds, batch, steps, _, *size = x.shape
        if steps == 0:
            raise ValueError("a sequence must have at least one step")
        if state is None:
            state = x.new_zeros(seeds, batch, self.state_channels, *size)
        into = child("into", x.flatten(1, 2)).unflatten(1, (batch, steps))
        outputs = []
        hidden, cells = state.chunk(2, dim=2)
        for time in range(steps):
            if reset is not None:
                kept = (~reset[:, :, time, None, None, None]).to(x.dtype)
                hidden, cells = hidden * kept, cells * kept
            gates = into[:, :, time] + child("own", hidden)
            write, forget, new, read = gates.chunk(4, dim=2)
            cells = torch.sigmoid(forget) * cells + torch.sigmoid(write) * torch.tanh(new)
            hidden = torch.sigmoid(read) * torch.tanh(cells)
            outputs.append(hidden)
        return torch.stack(outputs, dim=2), torch.cat([hidden, cells], dim=2)
