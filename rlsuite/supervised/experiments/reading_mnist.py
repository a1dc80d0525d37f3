"""MNIST as sequences: an LSTM reads a digit row by row, or pixel by pixel (Le et al., 2015)."""

from collections.abc import Callable

from rlsuite.networks.recurrent import reader
from rlsuite.supervised.classification import Examples, Labelled, report_classes
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.images import mnist
from rlsuite.supervised.experiment import Experiment, Target
from rlsuite.supervised.experiments.digits import evaluate, learner_of, make_source


def pieces(width: int) -> Callable[[SupervisedConfig], Labelled]:
    """The pictures as sequences of so many pixels a step ``[N, 784 / width, width]``."""

    def load(config: SupervisedConfig) -> Labelled:
        train, validation, test, classes = mnist(config)

        def sequences(examples: Examples) -> Examples:
            return Examples(examples.inputs.view(len(examples.inputs), -1, width), examples.labels)

        return Labelled(sequences(train), sequences(validation), sequences(test), classes)

    return load


def experiment(
    name: str, task: str, width: int, target: float, minutes: float, config: SupervisedConfig
) -> Experiment[SupervisedConfig, Labelled]:
    return Experiment(
        name=name,
        task=task,
        data="MNIST",
        target=Target("accuracy", target),
        minutes=minutes,
        config=config,
        load=pieces(width),
        make_source=make_source,
        make_learner=learner_of(lambda: reader(width, 128, 10)),
        evaluate=evaluate,
        report=report_classes,
        headlines={"train/accuracy": "accuracy"},
    )


EXPERIMENTS = [
    experiment(
        "mnist-lstm",
        "LSTM that reads digits row by row",
        width=28,
        target=0.985,
        minutes=5,
        config=SupervisedConfig(
            epochs=8,
            batch_size=128,
            learning_rate=2e-3,
            decay="linear",
            max_gradient_norm=1.0,
            validation_fraction=0.05,
        ),
    ),
    experiment(
        "mnist-pixel-lstm",
        "LSTM that reads digits pixel by pixel, 784 steps (long)",
        width=1,
        target=0.872,
        minutes=300,
        config=SupervisedConfig(epochs=20, batch_size=128, max_gradient_norm=1.0, validation_fraction=0.05),
    ),
]
