"""The shared core; see ``docs/architecture.md``."""

import os

# The library of torch's matrix products chooses between kernels by where operands begin in memory, and so a seed's last
# bits would depend on the seeds beside it. This makes it choose by shapes alone. Read at the first product.
os.environ.setdefault("MKL_CBWR", "AUTO")
