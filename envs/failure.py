"""The one exception for experience that cannot be learned from."""


class ExperienceError(RuntimeError):
    """An environment raised or returned what its spaces exclude (NaN, a wrong shape), or was sent such an action.

    The message names the environment, its seed, the step and the cause, in one or two lines made for people. The run
    cannot go on, but everything learned so far is whole: catch it, save a checkpoint and exit with an error.
    """
