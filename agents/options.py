"""Options of training runs and of each kind of agent. Imports no torch, so that ``--help`` is quick.

Values that may differ by seed (``...PerSeed``) are written ``1e-3`` or ``1e-3,3e-4``: one for all seeds, or one each.
"""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

import tyro

from rlsuite.configuration import (
    Count,
    Fraction,
    Natural,
    Positive,
    Seed,
    Widths,
    Within,
    check,
    check_seeds,
)
from rlsuite.networks.names import Encoder
from rlsuite.option_groups import Options


def _parse_per_seed(words: list[str]) -> tuple[float, ...]:
    return tuple(float(number) for number in words[0].split(","))


_PER_SEED = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="FLOAT[,FLOAT...]",
    instance_from_str=_parse_per_seed,
    is_instance=lambda value: isinstance(value, tuple) and all(isinstance(number, float) for number in value),
    str_from_instance=lambda value: [",".join(f"{number:g}" for number in value)],
)
RatePerSeed = Annotated[tuple[float, ...], _PER_SEED, Within(0, inclusive=False)]
NotNegativePerSeed = Annotated[tuple[float, ...], _PER_SEED, Within(0)]
FractionPerSeed = Annotated[tuple[float, ...], _PER_SEED, Within(0, 1)]
OtherSidesFractionPerSeed = Annotated[tuple[float, ...], _PER_SEED, Within(-1, 0)]


def _parse_keywords(words: list[str]) -> dict[str, Any]:
    """``{"size": 3}`` of ``size=3``: values are JSON where they can be, else texts."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{word!r} is not NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


_KEYWORDS = tyro.constructors.PrimitiveConstructorSpec(
    nargs="*",
    metavar="[NAME=VALUE ...]",
    instance_from_str=_parse_keywords,
    is_instance=lambda value: isinstance(value, dict),
    str_from_instance=lambda value: [f"{name}={json.dumps(entry)}" for name, entry in value.items()],
)
Keywords = Annotated[dict[str, Any], _KEYWORDS]


def _parse_size(words: list[str]) -> tuple[int, ...]:
    size = tuple(int(number) for number in words[0].split(","))
    if len(size) > 2:
        raise ValueError(f"{words[0]!r} is not HEIGHT or HEIGHT,WIDTH")
    return size


_SIZE = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="HEIGHT[,WIDTH]",
    instance_from_str=_parse_size,
    is_instance=lambda value: isinstance(value, tuple) and all(isinstance(number, int) for number in value),
    str_from_instance=lambda value: [",".join(str(number) for number in value)],
)


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions(Options, group="environment"):
    """Options of the environments that an agent acts in."""

    env: str
    """Environment id: any of Gymnasium's, ALE/*, or rlsuite/*."""
    env_kwargs: Keywords = field(default_factory=dict)
    """Arguments of the environment's maker, such as size=3 name=left; values are read as JSON where they can be."""
    wrapper: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Environments of Gymnasium: module:function that takes each copy and returns it wrapped; may be given again."""
    max_episode_steps: Count | None = None
    """Env steps after which an episode is truncated; by default as registered. Not for Atari's protocols."""
    grey: bool = False
    """Environments of Gymnasium: pictures in grey."""
    resize: Annotated[tuple[int, ...], Within(1), _SIZE] | None = None
    """Environments of Gymnasium: height and width of pictures; one number for both."""
    frame_stack: Count | None = None
    """Environments of Gymnasium: how many observations the agent sees at once; frames are kept once in a replay."""
    previous_action_and_reward: bool = False
    """Show the agent its last action and reward beside the observation, which helps a memory. Not for Atari."""
    num_envs: Count = 1
    """Environments of each seed."""
    protocol: Literal["machado", "nature"] = "nature"
    """Atari: how episodes start, stick, lose lives and are evaluated."""
    vectorization: Literal["sync", "async"] = "sync"
    """Environments of Gymnasium: in this process, or each in a process of its own."""


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions(Options, group="run"):
    """Options of a run's length and seeds."""

    preset: str = "auto"
    """Tuned values to start from; auto takes those of the environment's family, none the plain defaults."""
    total_env_steps: Count = 100_000
    """Env steps to train for, per seed (one Atari env step is four frames); what changes over a run, such as a falling
    learning rate, is spread over all of them, and anew where a run is extended."""
    seeds: Count = 1
    """Number of seeds to train at once."""
    seed: Seed = 0
    """The first seed; the others count up from it."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options, group="evaluation"):
    """Options of evaluation."""

    evaluate_every_env_steps: Count = 10_000
    """Env steps between two evaluations, which run in environments of their own."""
    evaluation_episodes: Count = 10
    """Episodes of an evaluation, per seed."""
    evaluation_envs: Count | None = None
    """Environments of each seed in an evaluation; by default as many as --num-envs, or up to 10 (25 in the final one)
    of Gymnasium's, Atari's and rlsuite's own, which cost little. Never more than there are episodes."""
    evaluation_max_env_steps: Count | None = None
    """Env steps, per seed, after which an evaluation is cut, and open episodes count as they stand; by default as many
    as the run has, at least 100,000, and enough for the episodes of environments that limit them."""
    final_episodes: Natural | None = None
    """Episodes of the evaluation when the run is over, per seed; by default 100, or 10 of Atari; 0 for none."""
    keep_evaluated: bool = False
    """Keep the agent of each evaluation as a checkpoint of its own, checkpoint/at-ENVSTEPS."""
    target_return: float | None = None
    """Stop once every seed has reached this mean return in an evaluation; the best checkpoint holds it there."""


@dataclass(frozen=True, kw_only=True)
class SystemOptions(Options, group="system"):
    """Options of device, processes and checkpoints."""

    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes cuda where there is one."""
    threads: Count | None = None
    """CPU threads of torch; by default 1 for small networks, all cores for pixels and wide ones."""
    execution: Literal["auto", "eager", "compile", "graph"] = "auto"
    """Run device code eagerly, compiled, or compiled and captured in CUDA graphs; auto compiles long runs on the CPU
    and captures on CUDA."""
    workers: Count | None = None
    """CPU processes of one thread, each with some of the seeds; by default as many as cores on long runs of several
    seeds that learn from vectors, else 1."""
    shards: Count | None = None
    """CPU: groups of seeds, each a program of its own; a worker takes its groups in turn. By default one a worker or,
    where whole rounds are compiled, as many as give groups of at most five seeds, which fit a core's cache."""
    checkpoint_every_seconds: Positive = 600.0
    """Wall seconds between two checkpoints; one is always written at the end."""
    save_replay: bool = True
    """Keep the replay in the checkpoint, without which a resumed run must first fill it again."""


@dataclass(frozen=True, kw_only=True)
class TrackingOptions(Options, group="tracking"):
    """Options of reports: folder, logging and video."""

    name: str | None = None
    """Name of the run and of its folder; by default made from agent, environment and time."""
    runs: str = "runs"
    """Folder that holds the runs."""
    log_every_env_steps: Count = 1_000
    """Env steps between two lines of metrics."""
    video: bool = True
    """Record an episode of the trained agent at the end."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """Weights & Biases; auto is online where a key is configured, else offline."""
    wandb_project: str = "rlsuite"
    """Weights & Biases project."""
    wandb_group: str | None = None
    """Make one Weights & Biases run a seed, in this group, instead of one with bands."""


@dataclass(frozen=True, kw_only=True)
class RunConfig(EnvironmentOptions, ScheduleOptions, EvaluationOptions, SystemOptions, TrackingOptions, group="run"):
    """Options of every training run."""

    @property
    def per_seed(self) -> frozenset[str]:
        """Names of the options that take one value, or one for each seed."""
        hints = get_type_hints(type(self), include_extras=True)
        return frozenset(name for name, hint in hints.items() if _PER_SEED in getattr(hint, "__metadata__", ()))

    def __post_init__(self) -> None:
        """Refuse values no run can have, wherever they come from: the command line, a preset or a file."""
        check(self)
        check_seeds(self.seed, self.seeds)


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options, group="network"):
    """The network from observations to features."""

    encoder: Encoder = "auto"
    """Network from observation to features: auto takes mlp for vectors, nature or small for images; LeNet, VGG,
    Inception and ResNet are those of the papers, with group norm."""
    hidden: Widths = (256, 256)
    """Widths of the mlp."""
    encoder_precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the encoder's convolutions and matrix products; bfloat16 rounds to three digits, and is quicker on
    processors that have it (AVX512_BF16, or NVIDIA's since 2020)."""


@dataclass(frozen=True, kw_only=True)
class ActivationOptions(Options, group="network"):
    """The activation function of agents that choose it."""

    activation: Literal["relu", "tanh"] = "tanh"
    """Activation function of the mlp."""


@dataclass(frozen=True, kw_only=True)
class MemoryOptions(Options, group="network"):
    """The recurrent network between features and outputs, whose state is carried from env step to env step."""

    memory: Literal["none", "gru", "lstm"] = "none"
    """Kind of the memory: a recurrent network after the encoder; with none, an agent acts on what it sees now."""
    memory_units: Count = 64
    """Outputs of the recurrent network."""
    memory_env_steps: Count | None = None
    """Gates begin so that what is remembered lasts up to this many env steps; by default half of it is gone after
    one."""


@dataclass(frozen=True, kw_only=True)
class AgentConfig(RunConfig, NetworkOptions):
    """Options common to all agents."""

    discount: FractionPerSeed = (0.99,)
    """Weight of the next env step's value."""
    max_gradient_norm: Positive | None = None
    """Gradients are scaled to at most this norm, seed by seed; by default they are not."""
    clip_rewards: bool = False
    """Learn from rewards clipped to [-1, 1]; reported returns are never clipped."""
    normalise_observations: bool = False
    """See observations, other than pictures, with mean 0 and standard deviation 1 by the statistics of training."""
    normalise_rewards: bool = False
    """Learn from rewards divided by the standard deviation of the discounted returns in training, and clipped to
    [-10, 10]; reported returns are as they are."""


@dataclass(frozen=True, kw_only=True)
class ReplayConfig(AgentConfig, group="replay"):
    """Options common to agents that learn from a replay."""

    batch_size: Count = 32
    """Transitions an update."""
    replay_capacity: Count = 100_000
    """Transitions kept, per seed."""
    learning_starts_env_steps: Natural = 1_000
    """Env steps before the first update; in a run that ends before, a tenth of the run."""
    train_every_env_steps: Count = 4
    """Env steps between two rounds of updates."""
    updates_per_train: Count = 1
    """Updates of a round."""
    n_step: Count = 1
    """Env steps of reward before the bootstrap."""
    replay_priority_exponent: Fraction = 0.0
    """Alpha of prioritised replay: transitions are drawn by their last error to this power; 0 draws all alike."""
    replay_importance_exponent: Fraction = 0.4
    """Beta of prioritised replay at the start: how far weights make up for it; it rises to 1 over the run."""
    players: Natural = 0
    """CPU processes that act, each in --num-envs environments of every seed, for the learner in a process of its own; 0
    where acting and learning take turns in one process."""
    lag: Count = 1
    """Players: rounds that they work ahead of the learner, and by which their weights are behind."""

    @property
    def all_envs(self) -> int:
        """Environments of each seed, over all players."""
        return self.num_envs * max(self.players, 1)

    @property
    def warm_up_rows(self) -> int:
        """Steps of each environment that a replay must see before there is anything to learn from."""
        return self.n_step

    @property
    def total_updates(self) -> int:
        """Updates of the whole run, for schedules."""
        every, envs = self.train_every_env_steps, self.all_envs
        # Of a round, as ``rounds_of`` has it: a common multiple, without ``lcm``, which compilers do not know.
        env_steps = every if every % envs == 0 else envs if envs % every == 0 else every * envs
        rounds, waits = -(-self.total_env_steps // env_steps), -(-self.learning_starts_env_steps // env_steps) - 1
        return max(rounds - max(waits, 0), 0) * self.updates_per_train * (env_steps // every)


@dataclass(frozen=True, kw_only=True)
class ReplayActorCriticConfig(ReplayConfig, group="method"):
    """Options common to actors with a critic of actions, which learn from a replay."""

    actor_learning_rate: RatePerSeed = (1e-3,)
    """Learning rate of the actor's Adam."""
    critic_learning_rate: RatePerSeed = (1e-3,)
    """Learning rate of the critic's Adam."""
    final_learning_rate_fraction: Fraction = 1.0
    """Learning rates fall linearly to this fraction of themselves at the last env step."""
    batch_size: Count = 256
    """Transitions an update."""
    replay_capacity: Count = 1_000_000
    """Transitions kept, per seed."""
    train_every_env_steps: Count = 1
    """Env steps between two rounds of updates."""
    tau: Fraction = 0.005
    """Targets move by this fraction towards the networks at a time."""
    random_env_steps: Natural = 10_000
    """Env steps of uniformly random actions at the start; in a run that ends before, a tenth of the run."""


@dataclass(frozen=True, kw_only=True)
class EpsilonGreedyConfig(RunConfig):
    """Options common to agents that explore by epsilon-greedy actions."""

    epsilon_start: Fraction = 1.0
    """Probability of a random action at the first env step."""
    epsilon_end: FractionPerSeed = (0.05,)
    """Probability of a random action from epsilon_decay_env_steps on."""
    epsilon_decay_env_steps: Natural = 10_000
    """Env steps over which epsilon falls linearly."""
    evaluation_epsilon: Fraction | None = None
    """Probability of a random action in evaluations; by default 0, or what the Atari protocol says."""


@dataclass(frozen=True, kw_only=True)
class RolloutConfig(AgentConfig, group="rollout"):
    """Options common to on-policy agents: each step is learned from in one update only."""

    num_envs: Count = 8
    """Environments of each seed."""
    rollout_env_steps: Count = 2_048
    """Env steps, over all environments of a seed, between two updates."""

    @property
    def vector_steps(self) -> int:
        """Steps of each environment in a rollout."""
        return max(1, self.rollout_env_steps // self.num_envs)

    @property
    def rollouts(self) -> int:
        """Rollouts of the whole run that are learned from; the first only measures the scales, where there are any."""
        measures = self.normalise_observations or self.normalise_rewards
        return -(-self.total_env_steps // (self.vector_steps * self.num_envs)) - measures

    @property
    def total_updates(self) -> int:
        """Steps of gradient descent on the policy in the whole run, for schedules."""
        return self.rollouts


@dataclass(frozen=True, kw_only=True)
class MemoryRolloutConfig(MemoryOptions, RolloutConfig, group="rollout"):
    """Options common to on-policy agents that may have a memory."""

    bptt_env_steps: Count | None = None
    """Env steps of an environment through which a memory's gradients go back (truncated backpropagation through
    time); by default all that a rollout takes of it."""

    @property
    def window_env_steps(self) -> int:
        """Steps of an environment that are learned from together: with a memory a window of the rollout, else one.

        Raises:
            ValueError: a rollout is no whole number of windows.
        """
        if self.memory == "none":
            return 1
        steps = self.vector_steps
        window = self.bptt_env_steps or steps
        if steps % window:
            raise ValueError(
                f"--bptt-env-steps {window} does not divide the {steps} env steps that a rollout takes of an "
                "environment (--rollout-env-steps by --num-envs)"
            )
        return window


@dataclass(frozen=True, kw_only=True)
class MinibatchConfig(MemoryRolloutConfig, group="rollout"):
    """Options common to agents that go through a rollout several times, in shuffled minibatches."""

    epochs: Count = 10
    """Times that an update goes through its rollout."""
    minibatches: Count = 4
    """Parts of a rollout, each a step of gradient descent in every epoch."""

    @property
    def total_updates(self) -> int:
        """Steps of gradient descent in the whole run, for schedules."""
        return self.rollouts * self.epochs * self.minibatches

    def require_whole_minibatches(self) -> None:
        """Refuse minibatches that do not divide the windows of a rollout.

        Raises:
            ValueError: they do not.
        """
        window = self.window_env_steps
        windows_of_all = self.rollout_env_steps // self.num_envs // window * self.num_envs
        if windows_of_all % self.minibatches:
            parts = "env steps" if self.memory == "none" else f"windows of {window} env steps"
            divisors = [part for part in range(1, windows_of_all + 1) if windows_of_all % part == 0]
            below = [part for part in divisors if part < self.minibatches][-1:]
            above = [part for part in divisors if part > self.minibatches][:1]
            raise ValueError(
                f"--minibatches {self.minibatches} does not divide the {windows_of_all} {parts} of a rollout: "
                f"{' and '.join(map(str, below + above))} would"
            )


@dataclass(frozen=True, kw_only=True)
class SequenceConfig(ReplayConfig, group="sequences"):
    """Options common to agents that learn from replayed sequences."""

    batch_size: Count = 32
    """Sequences an update."""
    burn_in_env_steps: Natural = 8
    """Steps of a sequence that only bring the memory up to date."""
    sequence_env_steps: Count = 24
    """Steps of a sequence that are learned from, after the burn-in."""
    sequence_period_env_steps: Count = 12
    """Steps between the beginnings of two sequences of an environment."""

    @property
    def sequence_rows(self) -> int:
        """Steps of a stored sequence: the last ones give the others their n-step returns."""
        return self.burn_in_env_steps + self.sequence_env_steps + self.n_step

    @property
    def warm_up_rows(self) -> int:
        return self.sequence_rows
