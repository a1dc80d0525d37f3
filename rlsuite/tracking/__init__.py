"""Outputs of a run: files, Weights & Biases, the terminal, videos, statistics over seeds and figures."""
