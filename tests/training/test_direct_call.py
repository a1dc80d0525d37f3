import torch

from rlsuite.training.direct_call import DirectCall


class Counter:
    """A region and what it works on."""

    def __init__(self):
        self.count, self.total = torch.zeros(3), torch.zeros(())

    def region(self):
        self.count.add_(1)
        self.total.add_(self.count.sum())
        return {"sum": self.count.sum(), "mean": self.count.mean() * 2}

    def alias(self):
        self.count.add_(1)
        return {"count": self.count, "twice": self.count * 2}

    def silent(self):
        self.count.add_(1)


def compiled(function):
    return torch.compile(function, fullgraph=True, dynamic=False, options={"cpp_wrapper": True})


def calls(region, times):
    return [{name: value.clone() for name, value in region().items()} for _ in range(times)]


def test_it_does_what_the_region_does_and_goes_straight_to_its_code():
    plain, watched = Counter(), Counter()
    shortcut = DirectCall(compiled(watched.region))
    expected, found = calls(plain.region, 6), calls(shortcut, 6)
    assert shortcut.is_direct
    assert expected == found
    assert torch.equal(plain.count, watched.count)
    assert torch.equal(plain.total, watched.total)


def test_results_that_stay_are_not_overwritten():
    shortcut = DirectCall(compiled(Counter().region))
    results = [shortcut() for _ in range(6)]
    assert [result["sum"].item() for result in results] == [3.0, 6.0, 9.0, 12.0, 15.0, 18.0]


def test_a_region_may_return_nothing():
    watched = Counter()
    shortcut = DirectCall(compiled(watched.silent))
    assert [shortcut() for _ in range(5)] == [None] * 5
    assert shortcut.is_direct
    assert watched.count.tolist() == [5.0] * 3


def test_a_region_that_returns_what_it_changes_is_called_as_before():
    plain, watched = Counter(), Counter()
    shortcut = DirectCall(compiled(watched.alias))
    for expected, found in zip(calls(plain.alias, 6), calls(shortcut, 6), strict=True):
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not shortcut.is_direct


def test_a_region_whose_tensors_change_is_called_as_before():
    watched = Counter()
    shortcut = DirectCall(compiled(watched.region))
    shortcut()
    watched.count = torch.full((3,), 10.0)
    assert shortcut()["sum"].item() == 33.0
    assert shortcut()["sum"].item() == 36.0
    assert not shortcut.is_direct


def test_without_compiled_code_nothing_changes():
    counter = Counter()
    shortcut = DirectCall(counter.region)
    assert [shortcut()["sum"].item() for _ in range(4)] == [3.0, 6.0, 9.0, 12.0]
    assert not shortcut.is_direct
