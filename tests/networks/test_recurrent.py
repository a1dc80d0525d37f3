import pytest
import torch
from torch import nn

from rlsuite.networks.population import Population, gradient
from rlsuite.networks.recurrent import RecurrentBackbone, WithMemory

TORCH = {"gru": nn.GRU, "lstm": nn.LSTM}


def torchs(ours, cell):
    theirs = TORCH[cell](5, 7, num_layers=ours.layers, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    return theirs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", TORCH)
def test_it_is_torchs_own_where_nothing_is_reset(cell, layers):
    torch.manual_seed(0)
    ours = RecurrentBackbone(5, 7, cell, layers)
    x = torch.randn(3, 6, 5)
    outputs, state = ours(x, torch.zeros(3, ours.state_size), torch.zeros(3, 6, dtype=torch.bool))
    expected, last = torchs(ours, cell)(x)
    assert torch.allclose(outputs, expected, atol=1e-6)
    last = last if cell == "lstm" else (last,)
    assert torch.allclose(
        state, torch.cat([part[layer] for layer in range(layers) for part in last], dim=-1), atol=1e-6
    )


@pytest.mark.parametrize("cell", TORCH)
def test_a_reset_begins_anew_inside_the_window_and_a_carried_state_goes_on(cell):
    torch.manual_seed(0)
    network = RecurrentBackbone(5, 7, cell)
    x, reset = torch.randn(2, 9, 5), torch.zeros(2, 9, dtype=torch.bool)
    reset[0, 4] = reset[1, 0] = reset[1, 7] = True
    outputs, state = network(x, torch.randn(2, network.state_size), reset)
    never, zero = torch.zeros(1, 9, dtype=torch.bool), torch.zeros(1, network.state_size)
    expected, last = network(x[:1, 4:], zero, never[:, 4:])
    assert torch.allclose(outputs[:1, 4:], expected, atol=1e-6)
    assert torch.allclose(state[:1], last, atol=1e-6)
    assert torch.allclose(outputs[1:, :7], network(x[1:, :7], zero, never[:, :7])[0], atol=1e-6)
    # Step by step with the state carried is the same as at once.
    carried, pieces = torch.zeros(2, network.state_size), []
    for time in range(9):
        y, carried = network(x[:, time : time + 1], carried, reset[:, time : time + 1])
        pieces.append(y)
    whole, _ = network(x, torch.zeros(2, network.state_size), reset)
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-6)


@pytest.mark.parametrize("cell", TORCH)
def test_a_population_of_them_is_each_alone(cell):
    def build():
        return WithMemory(nn.Sequential(nn.Linear(5, 6), nn.ReLU()), RecurrentBackbone(6, 7, cell), nn.Linear(7, 3))

    population = Population(build, [4, 9])
    torch.manual_seed(9)
    alone = build()
    x, reset = torch.randn(2, 3, 6, 5), torch.rand(2, 3, 6) < 0.2
    state = torch.randn(2, 3, alone.recurrent.state_size)
    outputs, last = population(x, state, reset)
    expected, expected_last = alone(x[1], state[1], reset[1])
    assert torch.allclose(outputs[1], expected, atol=1e-6)
    assert torch.allclose(last[1], expected_last, atol=1e-6)

    def loss(parameters):
        values, _ = population(x, state, reset, parameters=parameters)
        return values.square().mean(dim=(1, 2, 3)), {}

    rows, _ = gradient(loss, population.parameters)
    expected.square().mean().backward()
    named = population.named(rows)
    for name, parameter in alone.named_parameters():
        assert torch.allclose(named[name][1], parameter.grad, atol=1e-6), name
