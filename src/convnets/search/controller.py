"""The controller of the search: a recurrent network that makes one decision after the other.

Barret Zoph, Quoc V. Le: "Neural architecture search with reinforcement learning", 2017, section 3.1
and figure 2. Each decision is sampled from a softmax and fed back as the next input.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from convnets.search.space import SearchSpace


@dataclass(frozen=True)
class Sample:
    """One architecture that the controller sampled."""

    decisions: tuple[int, ...]
    """Indices into `SearchSpace.options`."""
    log_probability: Tensor
    """Log-probability of all decisions together, a scalar with a gradient."""
    entropy: Tensor
    """Mean entropy of the decisions in nats, a scalar: how undecided the controller is."""


class Controller(nn.Module):
    """An LSTM that samples architectures from a search space.

    Args:
        space: The decisions and their options.
        hidden: Units of the LSTM. The paper has two layers of 35 units, this is one layer.

    Example:
        >>> from convnets.search.space import SearchSpace
        >>> sample = Controller(SearchSpace(depth=2))()
        >>> len(sample.decisions)
        6
    """

    def __init__(self, space: SearchSpace, hidden: int = 35) -> None:
        super().__init__()
        self.space = space
        self.cell = nn.LSTMCell(hidden, hidden)
        self.start = nn.Parameter(torch.zeros(1, hidden))
        self.embeddings = nn.ModuleList(nn.Embedding(len(o), hidden) for o in space.options)
        self.softmaxes = nn.ModuleList(nn.Linear(hidden, len(o)) for o in space.options)
        init_controller_(self)

    def forward(self) -> Sample:
        """Sample one architecture."""
        state = None
        token = self.start
        decisions, log_probabilities, entropies = [], [], []
        for embedding, softmax in zip(self.embeddings, self.softmaxes, strict=True):
            state = self.cell(token, state)  # hidden and cell state, each (1, hidden)
            choice = Categorical(logits=softmax(state[0]))  # (1, options)
            decision = choice.sample()
            decisions.append(int(decision))
            log_probabilities.append(choice.log_prob(decision))
            entropies.append(choice.entropy())
            token = embedding(decision)  # (1, hidden)
        return Sample(
            tuple(decisions), torch.cat(log_probabilities).sum(), torch.cat(entropies).mean()
        )


def init_controller_(controller: Controller) -> None:
    """Draw all weights uniformly from [-0.08, 0.08] (section 4.1).

    The first decisions are then almost uniform.
    """
    for parameter in controller.parameters():
        nn.init.uniform_(parameter, -0.08, 0.08)
