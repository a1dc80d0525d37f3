import logging
from types import SimpleNamespace

import pytest
import torch

from rlsuite import random
from rlsuite.experience import Step
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.replay import Replay
from rlsuite.training.execution import captured, compiled, on_copies
from rlsuite.training.plan import compile_worker


def test_eager_is_the_function_itself():
    assert compiled(torch.sin, "eager") is torch.sin


def test_two_owners_of_one_function_do_not_share_what_was_compiled():
    class Scale:
        def __init__(self, factor):
            self.factor = factor
            self.run = compiled(self.scaled, "compile")

        def scaled(self, x):
            return x * 3 if self.factor == 3 else x * 2

    two, three = Scale(2), Scale(3)
    x = torch.arange(4.0)
    for _ in range(3):
        assert torch.equal(two.run(x), 2 * x)
        assert torch.equal(three.run(x), 3 * x)


def test_what_cannot_be_compiled_runs_eagerly_and_says_so(caplog):
    def branches(x):
        return x + 1 if x.sum() > 0 else x - 1

    run = compiled(branches, "compile")
    with caplog.at_level(logging.WARNING, logger="rlsuite"):
        assert run(torch.ones(2)).tolist() == [2.0, 2.0]
    assert run(-torch.ones(2)).tolist() == [-2.0, -2.0]
    assert [record.message.count("going on eager") for record in caplog.records] == [1]


def test_on_copies_takes_other_tensors_at_each_call_and_the_same_of_anything_else():
    run = on_copies(lambda x, factor: {"product": x * factor}, "compile")
    for number in range(6):
        assert run(torch.full((3,), float(number)), 2)["product"].tolist() == [2.0 * number] * 3
    with pytest.raises(ValueError, match="called with 3, and before with 2"):
        run(torch.ones(3), 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there it is captured")
def test_without_a_gpu_there_is_nothing_to_capture():
    assert captured(torch.sin, "graph") is torch.sin


@pytest.mark.parametrize("compilable", [True, False])
def test_only_what_lies_around_experience_that_compilers_get_wrong_is_compiled(compilable):
    def learn():
        return None

    def update():
        return {}

    learner = SimpleNamespace(compilable=("update",), update=update)
    source = SimpleNamespace(experience=SimpleNamespace(compilable=compilable))
    worker = SimpleNamespace(learner=learner, source=source, learn=learn)
    compile_worker(worker, "compile")
    assert (worker.learn is learn) is not compilable
    assert (learner.update is update) is compilable


@pytest.mark.slow
@pytest.mark.parametrize("n_step", [1, 3])
def test_a_compiled_sampler_of_frames_gives_the_same_batches(n_step):
    store = FrameStore(40, seeds=2, num_envs=3, stack=4, frame_shape=(12, 12), discount=0.9, n_step=n_step)
    replay = Replay(store, 16)
    shape = (2, 3)
    for step in range(20):
        observation, next_observation = torch.randint(0, 255, (2, *shape, 4, 12, 12), dtype=torch.uint8)
        never, always = torch.zeros(shape, dtype=torch.bool), torch.ones(shape, dtype=torch.bool)
        ended = always if step % 7 == 6 else never
        replay.add(
            observation,
            torch.ones(shape, dtype=torch.int64),
            Step(next_observation, next_observation, torch.rand(shape), ended, never, ~ended, always, ended),
        )
    seeds, drawn = torch.arange(2), torch.zeros((), dtype=torch.int64)

    def sample():
        return replay.sample(random.key(seeds, drawn))

    run = compiled(sample, "compile")
    for count in range(7):  # the last of them go straight to the code
        drawn.fill_(count)
        expected, found = sample(), run()
        for name, value in vars(expected).items():
            if name == "extras":
                continue
            assert torch.equal(value, getattr(found, name)), name
