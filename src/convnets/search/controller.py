"""Who searches: a recurrent network that takes one decision after the other.

Zoph & Le, 2017, section 3.1 and figure 2. Each decision is sampled from a softmax and fed back as
the next input.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from convnets.search.space import SearchSpace


@dataclass(frozen=True)
class Sample:
    """One child that the controller wrote."""

    decisions: tuple[int, ...]
    log_probability: Tensor
    """Sum over the decisions, a scalar with a gradient."""
    entropy: Tensor
    """Mean entropy of the decisions in nats: how undecided the controller is."""


class Controller(nn.Module):
    """An LSTM that writes architectures of a search space.

    Args:
        space: what it chooses from.
        hidden: width of the LSTM; the paper has two layers of 35 units.
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
        """Write one child."""
        state = None
        token = self.start
        decisions, log_probabilities, entropies = [], [], []
        for embedding, softmax in zip(self.embeddings, self.softmaxes, strict=True):
            state = self.cell(token, state)
            choice = Categorical(logits=softmax(state[0]))  # (1, options)
            decision = choice.sample()
            decisions.append(int(decision))
            log_probabilities.append(choice.log_prob(decision))
            entropies.append(choice.entropy())
            token = embedding(decision)
        return Sample(
            tuple(decisions), torch.cat(log_probabilities).sum(), torch.cat(entropies).mean()
        )


def init_controller_(controller: Controller) -> None:
    """Uniform between -0.08 and 0.08 (section 4.1), so the first choices are near uniform."""
    for parameter in controller.parameters():
        nn.init.uniform_(parameter, -0.08, 0.08)
