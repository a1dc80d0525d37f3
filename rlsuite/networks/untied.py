"""A convolution whose filters are others at every place of the picture (a locally connected layer).

    y_oij = b_oij + sum over c, a, b of W_ocabij x_c(i+a)(j+b)

With equal filters everywhere it is a convolution: sharing them is what makes a shifted picture have shifted features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UntiedConv2d(nn.Module):
    """Filters of ``kernel`` x ``kernel`` on pictures ``[B, inputs, *picture]``, without padding.

    The weights are ``[outputs, inputs * kernel^2, places]``.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, picture: tuple[int, int]) -> None:
        super().__init__()
        self.kernel = kernel
        self.size = tuple(side - kernel + 1 for side in picture)
        places, reads = self.size[0] * self.size[1], inputs * kernel**2
        bound = reads**-0.5  # as torch's own convolutions begin
        self.weight = nn.Parameter(torch.empty(outputs, reads, places).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs, places).uniform_(-bound, bound))

    def forward(self, pictures: Tensor) -> Tensor:
        windows = F.unfold(pictures, self.kernel)  # [B, reads, places]
        return (torch.einsum("brp,orp->bop", windows, self.weight) + self.bias).unflatten(2, self.size)
