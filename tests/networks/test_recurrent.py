import pytest
import torch
from torch import nn

from rlsuite.networks import sequences
from rlsuite.networks.conv_lstm import ConvLSTM
from rlsuite.networks.population import Population, gradient
from rlsuite.networks.recurrent import RecurrentBackbone, WithMemory, reader

TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
KINDS = {
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "gru, reset before": {"cell": "gru", "reset_after": False},
    "lstm": {"cell": "lstm"},
    "lstm with peephole": {"cell": "lstm", "peephole": True},
    "orthogonal": {"cell": "orthogonal"},
}


def make(kind, **options):
    torch.manual_seed(0)
    network = RecurrentBackbone(5, 7, **KINDS[kind], **options).double()
    for parameter in network.parameters():
        if not parameter.any():  # what begins as zeros matters too
            nn.init.normal_(parameter, std=0.1)
    return network


def random(*axes):
    return torch.randn(*axes, dtype=torch.float64)


@pytest.mark.parametrize(("bidirectional", "reset"), [(False, "no"), (False, "never"), (True, "no")])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", TORCH)
def test_it_is_torchs_own_where_nothing_is_reset(cell, layers, bidirectional, reset):
    ours = make(cell, layers=layers, bidirectional=bidirectional)
    theirs = TORCH[cell](5, 7, num_layers=layers, batch_first=True, bidirectional=bidirectional).double()
    theirs.load_state_dict(ours.state_dict())
    x = random(3, 6, 5).requires_grad_()
    outputs, state = ours(x, None, None if reset == "no" else torch.zeros(3, 6, dtype=torch.bool))
    expected, last = theirs(x)
    torch.testing.assert_close(outputs, expected)
    last = last if cell == "lstm" else (last,)
    torch.testing.assert_close(state, torch.cat([part[k] for k in range(len(last[0])) for part in last], dim=-1))
    weights = random(*outputs.shape)
    found, wanted = (
        torch.autograd.grad((y * weights).sum(), [x, *network.parameters()])
        for y, network in ((outputs, ours), (expected, theirs))
    )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_by_hand_is_that_of_the_definition(kind, monkeypatch):
    network = make(kind)
    inputs = random(3, 6, 5).requires_grad_(), random(3, network.state_size).requires_grad_()
    reset, lengths = torch.rand(3, 6) < 0.3, torch.tensor([6, 2, 4])
    weights = random(3, 6, 7), random(3, network.state_size)

    def found():
        outputs, state = network(*inputs, reset, lengths)
        total = (outputs * weights[0]).sum() + (state * weights[1]).sum()
        return outputs, state, *torch.autograd.grad(total, [*inputs, *network.parameters()])

    by_hand = found()
    monkeypatch.setattr(sequences._Sequence, "apply", sequences._steps)
    torch.testing.assert_close(by_hand, found())


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_begins_anew_inside_the_window_and_a_carried_state_goes_on(kind):
    network = make(kind)
    x, reset = random(2, 9, 5), torch.zeros(2, 9, dtype=torch.bool)
    reset[0, 4] = reset[1, 0] = reset[1, 7] = True
    outputs, state = network(x, random(2, network.state_size), reset)
    expected, last = network(x[:1, 4:])
    torch.testing.assert_close(outputs[:1, 4:], expected)
    torch.testing.assert_close(state[:1], last)
    torch.testing.assert_close(outputs[1:, :7], network(x[1:, :7])[0])
    # Step by step with the state carried is the same as at once.
    carried, pieces = torch.zeros_like(state), []
    for time in range(9):
        y, carried = network(x[:, time : time + 1], carried, reset[:, time : time + 1])
        pieces.append(y)
    whole, _ = network(x, None, reset)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_padded_sequences_are_as_without_their_padding(kind, bidirectional):
    network = make(kind, layers=2, bidirectional=bidirectional)
    lengths = [3, 6, 1]
    x = random(3, 6, 5)
    outputs, state = network(x, None, None, torch.tensor(lengths))
    for k, length in enumerate(lengths):
        expected, last = network(x[k : k + 1, :length])
        torch.testing.assert_close(outputs[k : k + 1, :length], expected)
        torch.testing.assert_close(state[k : k + 1], last)
        assert not outputs[k, length:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_population_of_them_is_each_alone(kind):
    def build():
        return WithMemory(
            nn.Sequential(nn.Linear(5, 6), nn.ReLU()), RecurrentBackbone(6, 7, **KINDS[kind]), nn.Linear(7, 3)
        )

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


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_among_others_is_the_seed_alone_to_the_last_bit(kind):
    def found(seeds):
        population = Population(lambda: RecurrentBackbone(3, 16, **KINDS[kind]), seeds)
        x = torch.linspace(-1.0, 1.0, 60).view(4, 5, 3).expand(len(seeds), -1, -1, -1)
        return gradient(
            lambda p: (population(x, parameters=p)[0].square().mean(dim=(1, 2, 3)), {}), population.parameters
        )[0]

    assert torch.equal(found([1, 2, 3])[1:2], found([2]))


def test_the_orthogonal_cell_keeps_the_size_of_gradients():
    sizes = {}
    for cell in ("rnn", "orthogonal"):
        torch.manual_seed(1)
        network = RecurrentBackbone(1, 32, cell)
        state = torch.zeros(1, network.state_size, requires_grad=True)
        outputs, _ = network(torch.randn(1, 100, 1), state)
        (size,) = torch.autograd.grad(outputs[0, -1].sum(), state)
        sizes[cell] = float(size.norm()) / 32**0.5
    assert sizes["orthogonal"] == pytest.approx(1.0, abs=0.05) and sizes["rnn"] < 1e-6


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gates_can_begin_with_a_long_memory(cell):
    sizes = []
    for memory_steps in (None, 200):
        torch.manual_seed(0)
        network = RecurrentBackbone(1, 32, cell, memory_steps=memory_steps)
        state = torch.zeros(1, network.state_size, requires_grad=True)
        outputs, _ = network(torch.randn(1, 100, 1), state)
        (size,) = torch.autograd.grad(outputs[0, -1].sum(), state)
        sizes.append(float(size.norm()))
    assert sizes[0] < 1e-9 and sizes[1] > 0.1


def test_truncated_backpropagation_in_one_window_is_that_through_everything():
    network, x = make("lstm"), random(2, 8, 5)

    def gradients(window):
        state, total = None, 0.0
        for part in x.split(window, dim=1):
            outputs, state = network(part, state)
            total = total + outputs.square().sum()
            state = state.detach()
        return torch.autograd.grad(total, list(network.parameters()))

    whole = torch.autograd.grad(network(x)[0].square().sum(), list(network.parameters()))
    torch.testing.assert_close(gradients(8), whole)
    assert not torch.allclose(gradients(2)[1], whole[1])


def test_what_it_cannot_do_is_said():
    with pytest.raises(ValueError, match="only an lstm has a peephole"):
        RecurrentBackbone(5, 7, "gru", peephole=True)
    with pytest.raises(ValueError, match="only a gru has a reset gate"):
        RecurrentBackbone(5, 7, "lstm", reset_after=False)
    with pytest.raises(ValueError, match="not 'gruu'"):
        RecurrentBackbone(5, 7, "gruu")
    with pytest.raises(ValueError, match="at least one step"):
        make("gru")(random(2, 0, 5))
    with pytest.raises(ValueError, match="whole sequences"):
        make("gru", bidirectional=True)(random(2, 3, 5), None, torch.zeros(2, 3, dtype=torch.bool))


def test_pictures_are_remembered_where_they_are():
    torch.manual_seed(0)
    network = ConvLSTM(2, 3, kernel=3)
    x, reset = torch.randn(2, 5, 2, 6, 6), torch.zeros(2, 5, dtype=torch.bool)
    reset[0, 2] = True
    outputs, state = network(x, None, reset)
    assert outputs.shape == (2, 5, 3, 6, 6) and state.shape == (2, network.state_channels, 6, 6)
    expected, last = network(x[:1, 2:])
    torch.testing.assert_close(outputs[:1, 2:], expected)
    torch.testing.assert_close(state[:1], last)
    # Moving the pictures moves the outputs, away from the borders; and it is an LSTM at each place if the kernel is 1.
    moved, _ = network(x[1:].roll(1, dims=-1))
    whole, _ = network(x[1:])
    torch.testing.assert_close(moved[:, :2, ..., 3], whole[:, :2, ..., 2])
    small, lstm = ConvLSTM(2, 3, kernel=1), nn.LSTM(2, 3, batch_first=True)
    lstm.load_state_dict(
        {
            "weight_ih_l0": small.into.weight.flatten(1),
            "weight_hh_l0": small.own.weight.flatten(1),
            "bias_ih_l0": small.into.bias,
            "bias_hh_l0": torch.zeros(12),
        }
    )
    torch.testing.assert_close(small(x)[0][..., 4, 1], lstm(x[..., 4, 1])[0])
    population = Population(lambda: ConvLSTM(2, 3, kernel=3), [0, 5])
    torch.manual_seed(5)
    expected, last = ConvLSTM(2, 3, kernel=3)(x, None, reset)
    outputs, state = population(x.expand(2, *x.shape), None, reset.expand(2, -1, -1))
    torch.testing.assert_close((outputs[1], state[1]), (expected, last))


def test_a_reader_learns_with_any_cell():
    for cell in ("rnn", "gru", "lstm", "orthogonal"):
        assert reader(3, 8, 2, cell)(torch.randn(4, 6, 3)).shape == (4, 2)
