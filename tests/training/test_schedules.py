import torch

from rlsuite.training.schedules import Plateau


def test_a_rate_that_waits_for_scores_to_stall_is_torchs():
    scores = torch.tensor([[1, 2, 2, 2, 2, 1, 1, 3, 3, 3, 3, 3, 3], [5, 4, 3, 2, 1, 0, 6, 7, 6, 6, 8, 7, 7]]).float()
    plateau = Plateau(seeds=2, patience=3)
    optimisers = [torch.optim.SGD([torch.zeros(1)], lr=1.0) for _ in scores]
    theirs = [
        torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, "max", 0.5, patience=2, threshold=0.0)
        for optimiser in optimisers
    ]
    for now in scores.T:
        plateau.see(now)
        for schedule, score in zip(theirs, now.tolist(), strict=True):
            schedule.step(score)
        assert plateau.share.tolist() == [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    assert plateau.share.tolist() == [0.25, 0.5]
