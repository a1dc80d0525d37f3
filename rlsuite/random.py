"""Counter-based random numbers: a pure function of (seed, stream, step, draw), never of what was drawn before.

The same numbers come out on the CPU and on CUDA, eager, compiled or captured, and seed 3 of 32 draws exactly what
seed 3 draws alone. There is no generator state to save: the counters are the state.
"""
