"""Outputs of a value network for an action's return: a number, or a whole distribution. One idea a file."""
