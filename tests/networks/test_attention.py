import pytest
import torch

from rlsuite.networks.attention import Attention
from rlsuite.networks.population import Population

SCORES = ["dot", "general", "additive"]


@pytest.mark.parametrize("score", SCORES)
def test_weights_sum_to_one_and_none_falls_on_what_is_not_allowed(score):
    torch.manual_seed(0)
    attention = Attention(score, 6, 6)
    queries, keys = torch.randn(3, 4, 6), torch.randn(3, 5, 6)
    allowed = torch.arange(5) < torch.tensor([[5], [2], [0]])
    contexts, weights = attention(queries, keys, allowed)
    assert weights.shape == (3, 4, 5) and contexts.shape == (3, 4, 6)
    torch.testing.assert_close(weights.sum(dim=-1)[:2], torch.ones(2, 4))
    assert not weights[1, :, 2:].any() and not weights[2].any() and not contexts[2].any()
    short, _ = attention(queries[1:2], keys[1:2, :2], allowed[1:2, :2])
    torch.testing.assert_close(contexts[1:2], short)


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_those_of_the_papers(score):
    torch.manual_seed(1)
    attention = Attention(score, 4, 4, hidden=3)
    q, k = torch.randn(4), torch.randn(2, 4)
    expected = {
        "dot": lambda key: q @ key,
        "general": lambda key: key @ attention.query @ q,
        "additive": lambda key: attention.vector @ torch.tanh(attention.query @ q + attention.key @ key),
    }[score]
    weights = torch.stack([expected(key) for key in k]).softmax(dim=0)
    contexts, found = attention(q[None, None], k[None], torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found[0, 0], weights)
    torch.testing.assert_close(contexts[0, 0], weights @ k)


@pytest.mark.parametrize("score", ["general", "additive"])  # a dot product has no parameters
def test_a_population_attends_as_each_of_its_networks(score):
    population = Population(lambda: Attention(score, 6, 4), [3, 4])
    queries, keys = torch.randn(2, 3, 5, 6), torch.randn(2, 3, 7, 4)
    allowed = (torch.rand(2, 3, 7) < 0.7) | (torch.arange(7) == 0)
    contexts, _ = population(queries, keys, allowed)
    for place, seed in enumerate([3, 4]):
        torch.manual_seed(seed)
        alone, _ = Attention(score, 6, 4)(queries[place], keys[place], allowed[place])
        torch.testing.assert_close(contexts[place], alone)


def test_a_dot_product_needs_one_size():
    with pytest.raises(ValueError, match="queries and keys of one size, not 4 and 6"):
        Attention("dot", 4, 6)
