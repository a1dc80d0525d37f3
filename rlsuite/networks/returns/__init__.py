"""What a value network says of an action's return: a number, or a whole distribution. One idea a file."""
