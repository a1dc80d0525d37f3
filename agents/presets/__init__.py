"""Tuned values, a file an agent: option values by environment family or name, and where each set comes from.

The file has the name of the agent's; what the command line names wins over a preset.
"""
