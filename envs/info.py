"""What environments of this package tell the adapter beyond Gymnasium's interface: keys of ``info``, an exception."""

FAILURE = "rlsuite_failure"
"""Text [N], where a sub-environment could not step: what happened there."""

STOPS_BOOTSTRAP = "rlsuite_stops_bootstrap"
"""bool [N]: the value of what follows this step does not count, although the episode goes on (a life was lost)."""

STATISTICS = "rlsuite_episode"
"""Return ``r`` and length ``l`` [N] of the episodes so far; not ``episode``, which Gymnasium's own wrappers write."""


class EnvironmentFailure(RuntimeError):
    """One of N environments failed so that it could not even report it: its process is gone, say."""

    def __init__(self, environment: int, what: str) -> None:
        super().__init__(what)
        self.environment = environment
