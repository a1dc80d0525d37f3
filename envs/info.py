"""Keys of ``info`` by which environments of this package tell the adapter more than Gymnasium's interface can."""

FAILURE = "rlsuite_failure"
"""Text [N], where a sub-environment could not step: what happened there."""

STOPS_BOOTSTRAP = "rlsuite_stops_bootstrap"
"""bool [N]: the value of what follows this step does not count, although the episode goes on (a life was lost)."""

STATISTICS = "rlsuite_episode"
"""Return ``r`` and length ``l`` [N] of the episodes so far; not ``episode``, which Gymnasium's own wrappers write."""
