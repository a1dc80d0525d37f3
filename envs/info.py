"""Keys of ``info``, and an exception, by which this package's environments report to the adapter."""

FAILURE = "rlsuite_failure"
"""Text [N]: the error of a sub-environment that could not step."""

STOPS_BOOTSTRAP = "rlsuite_stops_bootstrap"
"""bool [N]: do not bootstrap from the next observation, although the episode goes on (a life was lost)."""

STATISTICS = "rlsuite_episode"
"""Return ``r`` and length ``l`` [N] of the episodes so far; not ``episode``, which Gymnasium's own wrappers write."""


class EnvironmentFailure(RuntimeError):
    """An environment failed without a report, for example because its process ended."""

    def __init__(self, environment: int, what: str) -> None:
        super().__init__(what)
        self.environment = environment
