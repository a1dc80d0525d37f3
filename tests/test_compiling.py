import pytest
import torch

from rlsuite.compiling import as_bytes, as_flags, output_flags, pixels_last

FLAGS = torch.arange(37) % 3 == 0  # more than whole vectors of them


def run(function, how):
    return torch.compile(function, fullgraph=True) if how == "compiled" else function


@pytest.mark.parametrize("how", ["eager", pytest.param("compiled", marks=pytest.mark.slow)])
def test_flags_come_back_from_their_bytes(how):
    memory = torch.zeros(len(FLAGS), dtype=torch.uint8)

    def keep(flags):
        memory.copy_(as_bytes(flags))
        return as_flags(memory).to(torch.int64)

    assert torch.equal(run(keep, how)(FLAGS), FLAGS.to(torch.int64))
    assert torch.equal(memory.view(torch.bool), FLAGS)


@pytest.mark.parametrize("how", ["eager", "compiled"])
def test_flags_handed_out_are_the_flags(how):
    found = run(lambda numbers: output_flags(numbers > 7), how)(torch.arange(37.0))
    assert found.dtype == torch.bool
    assert torch.equal(found, torch.arange(37) > 7)


@pytest.mark.parametrize("how", ["eager", "compiled"])
@pytest.mark.parametrize("channels", [3, 4])
def test_images_keep_their_pixels_whatever_lies_side_by_side(how, channels):
    frames = torch.randint(0, 256, (3, channels + 1, 6, 5), dtype=torch.uint8)
    found = run(lambda frames: pixels_last(frames[:, :channels]).float(), how)(frames)
    assert torch.equal(found, frames[:, :channels].float())
