"""A page in the browser that shows the agent of a run, which people steer."""
