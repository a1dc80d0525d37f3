"""Where a run's metrics go: files, Weights & Biases, the terminal, videos, statistics over seeds and figures."""
