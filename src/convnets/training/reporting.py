"""What a run shows its user: a progress bar, a line for each epoch, TensorBoard, early ends."""

import importlib.util
import math
import sys
from typing import Any, Self

from tqdm.auto import tqdm

from convnets.training.record import Epoch, RunRecord
from convnets.training.run_folder import RunFolder

RECENT_STEPS = 50
"""Steps over which the progress bar averages the training accuracy."""


class Reporter:
    """Shows a run in a progress bar and a line for each epoch.

    Where TensorBoard is installed, its files in the run's folder show the run, too.

    Args:
        record: the run, which may have been resumed; its lines then begin with the first epoch.
        steps: number of steps in all epochs together.
        batch_size: images in a step, over all processes.
        folder: of the run, to which TensorBoard's files go; nothing is written if `None`.
        progress: show the bar and the lines.
        is_main_process: the other processes show and write nothing.
    """

    def __init__(
        self,
        record: RunRecord,
        steps: int,
        batch_size: int,
        folder: RunFolder | None,
        progress: bool,
        is_main_process: bool,
    ) -> None:
        self.record, self.batch_size = record, batch_size
        self.steps_per_epoch = steps // record.recipe.epochs
        self.visible = progress and is_main_process
        done = len(record.step_losses)
        self.bar = tqdm(
            total=steps * self.batch_size,
            initial=done * self.batch_size,
            disable=not self.visible,
            unit=" images",
            unit_scale=True,
            leave=False,
        )
        for epoch in record.epochs:
            self._print(epoch)
        self.board: Any = None
        has_tensorboard = importlib.util.find_spec("tensorboard") is not None
        if folder is not None and is_main_process and has_tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            # After a checkpoint, an interrupted run may have written steps that are now repeated.
            self.board = SummaryWriter(folder.path / "tensorboard", purge_step=done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()
        if self.board is not None:
            self.board.close()

    def log_step(self) -> None:
        """Advance the bar by one batch; it shows images a second and the time that is left."""
        self.bar.update(self.batch_size)

    def log_metrics(self) -> None:
        """Show the last training loss and the training accuracy of the last steps."""
        recent = self.record.step_accuracies[-RECENT_STEPS:]
        self._set_postfix(self.record.step_losses[-1], sum(recent) / len(recent))

    def log_epoch(self, learning_rate: float) -> None:
        """Report the last epoch of the record."""
        last, end = self.record.epochs[-1], len(self.record.step_losses)
        self._set_postfix(last.train_loss, last.train_accuracy)
        self._print(last)
        if self.board is None:
            return
        for step in range(end - self.steps_per_epoch, end):
            self.board.add_scalar("training loss", self.record.step_losses[step], step)
        self.board.add_scalar("training accuracy", last.train_accuracy, end)
        self.board.add_scalar("validation loss", last.validation_loss, end)
        self.board.add_scalar("validation accuracy", last.validation_accuracy, end)
        self.board.add_scalar("learning rate", learning_rate, end)
        self.board.flush()

    def _print(self, epoch: Epoch) -> None:
        """Print the line of an epoch above the bar; it leaves the process at once."""
        if not self.visible:
            return
        tqdm.write(
            f"epoch {epoch.number}: training loss {epoch.train_loss:.3f}, "
            f"validation accuracy {epoch.validation_accuracy:.1%}, {epoch.seconds:.0f} s"
        )
        sys.stdout.flush()

    def _set_postfix(self, loss: float, accuracy: float) -> None:
        epochs = self.record.epochs
        values = {
            "loss": f"{loss:.3f}",
            "accuracy": f"{accuracy:.1%}",
            "validation": f"{epochs[-1].validation_accuracy:.1%}" if epochs else "not yet",
        }
        self.bar.set_postfix(values)


def check_loss(record: RunRecord, folder: RunFolder | None) -> None:
    """Check the last training loss.

    Raises:
        FloatingPointError: it is not finite.
    """
    loss = record.step_losses[-1]
    if math.isfinite(loss):
        return
    kept = ""
    if folder is not None and folder.has_checkpoint():
        kept = f"; the last good checkpoint is in {folder.path}"
    raise FloatingPointError(
        f"the loss is {loss} at step {len(record.step_losses)}; lower the learning rate of "
        f"{record.recipe.learning_rate} or normalise the activations{kept}"
    )


def stopped(record: RunRecord, steps: int, folder: RunFolder | None) -> str:
    """The message of a run that Ctrl-C stopped: how far it came, and how to continue it."""
    reached = f"stopped after step {len(record.step_losses)} of {steps}; "
    if folder is None:
        return reached + "nothing was saved, because the run has no output_dir=… (--output-dir)"
    return reached + f"continue with resume=True (--resume) and the folder {folder.path}"
