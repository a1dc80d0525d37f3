"""Options that all supervised experiments have. Imports no torch, so that ``--help`` is quick."""

from dataclasses import dataclass
from typing import Literal

from rlsuite.configuration import Count, Fraction, NotNegative, Positive, Seed, check, check_seeds
from rlsuite.option_groups import Options

Decay = Literal["constant", "linear", "cosine", "stalled"]


@dataclass(frozen=True, kw_only=True)
class SystemOptions(Options, group="system"):
    device: str = "cpu"
    """cpu, cuda, or auto for cuda where there is one."""


@dataclass(frozen=True, kw_only=True)
class TrackingOptions(Options, group="tracking"):
    name: str | None = None
    """Name of the run and of its folder; by default made from the experiment and the time."""
    runs: str = "runs"
    """Folder that holds the runs."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """Weights & Biases; auto is online where a key is configured, else offline."""


@dataclass(frozen=True, kw_only=True)
class RunConfig(SystemOptions, TrackingOptions, group="training"):
    """Length of an experiment. An experiment with a learner of its own derives its class from this or the next."""

    epochs: Count
    """Times through the data; data that are made up as they are needed are evaluated once an epoch too."""
    patience_epochs: Count | None = None
    """Stop once no seed has been better on the validation set than its best for so many epochs."""
    minutes: Positive | None = None
    """Stop after this much training, and test what there is."""
    seeds: Count = 1
    """Number of seeds to train at once."""
    seed: Seed = 0
    """The first seed; the others count up from it."""

    def __post_init__(self) -> None:
        check(self)
        check_seeds(self.seed, self.seeds)


@dataclass(frozen=True, kw_only=True)
class ExamplesConfig(RunConfig, group="training"):
    """Examples that an experiment is trained on, and how many at a time."""

    batch_size: Count
    """Examples an update, per seed."""
    validation_fraction: Fraction = 0.1
    """Share of the training examples that choose the best checkpoint, and are not trained on; data that are made up, or
    that come with such examples, have others for that."""
    examples: Count | None = None
    """Examples an epoch: of a data set only the first so many, of data that are made up so many new ones."""


@dataclass(frozen=True, kw_only=True)
class AdamConfig(RunConfig, group="training"):
    """Training by Adam."""

    learning_rate: Positive = 1e-3
    """Learning rate of Adam at the start."""
    decay: Decay = "constant"
    """Schedule of the learning rate, which falls to zero over all epochs, not at all, or by half whenever a seed has
    stalled on the validation set."""
    stalled_epochs: Count = 3
    """A seed has stalled once it has not been better than its best for so many epochs."""
    weight_decay: NotNegative = 0.0
    """Share of the parameters that an update takes away, times the learning rate."""
    max_gradient_norm: Positive | None = None
    """Gradients are scaled to at most this norm, seed by seed."""


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(AdamConfig, ExamplesConfig, group="training"):
    """Examples, and networks trained by Adam. An experiment with options of its own derives its class from this."""
