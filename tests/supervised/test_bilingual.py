import json

import numpy as np
import pytest
import torch
from made_up_language import made_up_sentences
from small_runs import check_small_run

from rlsuite.supervised.data import multi30k
from rlsuite.supervised.data.parallel import Pairs, load
from rlsuite.supervised.experiment import Setting
from rlsuite.supervised.experiments.bilingual import (
    BilingualConfig,
    apart,
    make_learner,
    mean_of_others,
    points,
    recall,
    triplet_losses,
)

CONFIG = BilingualConfig(epochs=1, batch_size=8, embedding=8, hidden=8)
# Rows are sentences, columns their translations: the second sentence is nearest to the third's translation.
APART = torch.tensor([[[1.0, 3.0, 5.0], [4.0, 2.0, 1.5], [4.0, 3.5, 1.0]]])


@pytest.fixture(autouse=True)
def little_data(monkeypatch):
    monkeypatch.setattr(multi30k, "sentences", made_up_sentences)


def test_distances_are_euclidean():
    ones, others = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    expected = (ones.unsqueeze(2) - others.unsqueeze(1)).norm(dim=3)
    torch.testing.assert_close(apart(ones, others), expected)


def test_losses_are_those_of_the_margin():
    def too_near(sentence, translation, other):
        """Of a pair with that distance and one sentence with another."""
        return max(0.0, 0.75 + APART[0][sentence, translation] - APART[0][other])

    by_row = [[too_near(a, a, (a, n)) for n in range(3) if n != a] for a in range(3)]
    by_column = [[too_near(b, b, (n, b)) for n in range(3) if n != b] for b in range(3)]
    hardest = np.mean([max(own) for own in by_row + by_column])
    found = [float(loss) for own in by_row + by_column for loss in own if loss > 0]
    assert float(triplet_losses(APART, 0.75, "hardest")) == pytest.approx(hardest)
    assert float(triplet_losses(APART, 0.75, "all")) == pytest.approx(np.mean(found))


def test_one_point_for_all_sentences_costs_nothing_without_a_margin():
    together = torch.zeros(1, 4, 4)
    assert float(triplet_losses(together, 0.0, "all")) == 0.0
    assert float(triplet_losses(together, 0.5, "all")) == pytest.approx(0.5)
    assert float(recall(together, 1)) == 0.0  # what is equally near to all is not found
    assert float(mean_of_others(together)) == 0.0


def test_recall_counts_both_directions():
    # Of the rows the second is wrong, of the columns none.
    assert float(recall(APART, 1)) == pytest.approx(5 / 6)
    assert float(recall(APART, 2)) == 1.0


def test_points_do_not_depend_on_padding():
    data = load("de", "en")
    learner = make_learner(Setting(CONFIG, data, range(2), torch.device("cpu")), 1)
    source, target = points(learner, data.test)
    for number in range(3):
        pair = Pairs(*(row[number][row[number] != 0].unsqueeze(0) for row in data.test))
        alone = points(learner, pair)
        torch.testing.assert_close(alone[0][:, 0], source[:, number])
        torch.testing.assert_close(alone[1][:, 0], target[:, number])


def test_sentences_find_their_translations(tmp_path):
    options = {"embedding": 16, "hidden": 16, "batch_size": 16, "learning_rate": 2e-2}
    folder = check_small_run("bilingual-embedding", tmp_path, epochs=3, **options)
    values = json.loads((folder / "evaluation.json").read_text())["values"]
    assert values["recall_at_1"] <= values["recall_at_5"] <= values["recall_at_10"]
    assert values["recall_at_5"][0] > 0.5
