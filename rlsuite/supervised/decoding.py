"""Beam search: sentences that a model finds likely, word by word (Sutskever et al., 2014; Wu et al., 2016)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rlsuite.supervised.data.words import BEGIN, END, PADDING

State = Sequence[Tensor]
Step = Callable[[Tensor, State], tuple[Tensor, State]]


def beam_search(step: Step, state: State, beam: int, longest: int, length_power: float = 1.0) -> tuple[Tensor, Tensor]:
    """The most likely of the sentences that are found by keeping the ``beam`` best beginnings of each; 1 is greedy.

    Args:
        step: from the last words ``[S, R]`` and the state of R beginnings to log-probabilities of the next words
            ``[S, R, V]`` and the next state.
        state: before the first word, tensors ``[S, B, ...]`` for B sentences.
        beam: beginnings that are kept.
        longest: number of words, the end of the sentence included, after which a sentence is cut.
        length_power: whole sentences are compared by their log-probability over their length to this power: 0 favours
            short ones, 1 compares the means over words.

    Returns:
        The words after the begin ``[S, B, T]``, with padding after the end, and their log-probabilities ``[S, B]``.
    """
    seeds, sentences = state[0].shape[:2]
    device = state[0].device
    state = [tensor.repeat_interleave(beam, dim=1) for tensor in state]
    # At first all beginnings are the same one: only one of them counts.
    scores = torch.zeros(seeds, sentences, beam, device=device).index_fill_(
        2, torch.arange(1, beam, device=device), -torch.inf
    )
    ended = torch.zeros(seeds, sentences, beam, dtype=torch.bool, device=device)
    words = torch.full((seeds, sentences, beam, 1), BEGIN, device=device)
    while words.shape[-1] <= longest and not ended.all():
        found, state = step(words[..., -1].flatten(1), state)
        found = found.unflatten(1, (sentences, beam))
        size = found.shape[-1]
        free = torch.full((size,), -torch.inf, device=device)
        free[PADDING] = 0.0  # what has ended goes on with padding, at no cost
        found = torch.where(ended.unsqueeze(-1), free, found)
        scores, places = (scores.unsqueeze(-1) + found).flatten(2).topk(beam, dim=-1)
        parents, last = places // size, places % size
        words = torch.cat([_chosen(words, parents), last.unsqueeze(-1)], dim=-1)
        ended = ended.gather(2, parents) | (last == END)
        state = [_chosen(tensor.unflatten(1, (sentences, beam)), parents).flatten(1, 2) for tensor in state]
    sizes = (words[..., 1:] != PADDING).sum(dim=-1).clamp(min=1)
    best = (scores / sizes**length_power).argmax(dim=-1, keepdim=True)
    return _chosen(words, best).squeeze(2)[..., 1:], scores.gather(2, best).squeeze(2)


def _chosen(tensor: Tensor, parents: Tensor) -> Tensor:
    """Of ``[S, B, K, ...]`` those that ``parents`` ``[S, B, J]`` name, ``[S, B, J, ...]``."""
    index = parents.view(*parents.shape, *(1,) * (tensor.dim() - 3))
    return tensor.gather(2, index.expand(*parents.shape, *tensor.shape[3:]))
