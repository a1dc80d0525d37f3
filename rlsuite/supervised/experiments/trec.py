"""Tells what a question asks for, by a convolutional network over its words."""

import dataclasses
from typing import Any

import numpy as np

from rlsuite.networks.text import dcnn
from rlsuite.supervised.classification import Examples, accuracy, cross_entropy, report_classes
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.data.trec import KINDS, Questions, trec
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.source import Batches, minibatches

TrecSetting = Setting[SupervisedConfig, Questions]


def make_source(setting: TrecSetting) -> Batches[Examples]:
    inputs, labels = (tensor.to(setting.device) for tensor in setting.data.labelled.train)
    return minibatches(Examples(inputs, labels), setting.config.batch_size, setting.seeds)


def make_learner(setting: TrecSetting, total_updates: int) -> Learner[Examples]:
    words = setting.data.words
    return Learner(
        lambda: dcnn(words, len(KINDS)), cross_entropy, setting.config, total_updates, setting.seeds, setting.device
    )


def evaluate(learner: Learner[Any], setting: TrecSetting, split: Split) -> dict[str, np.ndarray]:
    return accuracy(learner, getattr(setting.data.labelled, split))


def report(trained: Trained[SupervisedConfig, Questions]) -> Facts:
    setting = dataclasses.replace(trained.setting, data=trained.setting.data.labelled)  # type: ignore[arg-type]
    return report_classes(dataclasses.replace(trained, setting=setting))  # type: ignore[arg-type]


EXPERIMENTS = [
    Experiment(
        name="trec-dcnn",
        task="What a question asks for, by k-max pooling over its words",
        data="TREC",
        target=Target("accuracy", 0.9),
        minutes=2,
        config=SupervisedConfig(epochs=12, batch_size=50, learning_rate=2e-3, decay="cosine", weight_decay=0.05),
        load=trec,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        headlines={"train/accuracy": "accuracy"},
    )
]
