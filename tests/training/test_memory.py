import pytest
import torch

from rlsuite.training.memory import keep_freed_memory


def test_what_is_freed_is_handed_out_again_without_asking_the_system() -> None:
    if not keep_freed_memory():
        pytest.skip("not the GNU C library")
    import resource

    def buffers() -> None:
        for _ in range(10):
            torch.zeros(8, 1 << 18)  # 8 MiB: 2,048 pages

    buffers()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2_048
