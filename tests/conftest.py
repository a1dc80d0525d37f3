"""One thread: the tests' products are small, and pytest-xdist already uses every core."""

import torch

torch.set_num_threads(1)
