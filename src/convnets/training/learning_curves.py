"""The picture of a run: loss and accuracy by epoch, in training and in validation."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from convnets.training.record import RunRecord

MARKED_EPOCHS = 30
"""A curve of more epochs is drawn without a marker for each."""


def learning_curves(record: RunRecord) -> Figure:
    """Loss and accuracy of a finished run, side by side, with training and validation in each.

    Example:
        >>> from convnets.training import fit
        >>> record = fit("lenet5", epochs=1, progress=False)
        >>> [ax.get_ylabel() for ax in learning_curves(record).axes]
        ['loss (nats)', 'accuracy (%)']
    """
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    figure.suptitle(
        f"{record.network} on {record.data}, seed {record.seed}: "
        f"test accuracy {record.test_accuracy:.1%}"
    )
    loss, accuracy = figure.subplots(1, 2)
    epochs = record.epochs
    steps = len(record.step_losses) / max(1, len(epochs))  # in an epoch
    loss.plot(
        [(step + 1) / steps for step in range(len(record.step_losses))],
        record.step_losses,
        color="#BBBBBB",
        linewidth=1,
        label="training, each step",
    )
    _draw(loss, [row.train_loss for row in epochs], [row.validation_loss for row in epochs])
    _draw(
        accuracy,
        [100 * row.train_accuracy for row in epochs],
        [100 * row.validation_accuracy for row in epochs],
    )
    loss.set(ylabel="loss (nats)", ylim=(0, None))
    accuracy.set(ylabel="accuracy (%)")
    return figure


def _draw(ax: Axes, training: Sequence[float], validation: Sequence[float]) -> None:
    """Draw one value for each epoch of both splits, over whole epochs."""
    numbers = range(1, len(training) + 1)
    marked = len(training) <= MARKED_EPOCHS
    ax.plot(numbers, training, "o-" if marked else "-", color="#0072B2", label="training")
    ax.plot(numbers, validation, "s--" if marked else "--", color="#D55E00", label="validation")
    ax.set(xlabel="epoch", xlim=(0, len(training) + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(color="#DDDDDD")
    ax.legend()
