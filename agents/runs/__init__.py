"""From a configuration to a run, and from a run's folder back to an agent."""
