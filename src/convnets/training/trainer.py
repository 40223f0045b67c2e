"""The training loop, from top to bottom: settings, model, data, optimizer; epochs, steps, accuracy.

Dropout and augmentation depend on seed and step alone, so a run that continues from a checkpoint
equals one that was never interrupted, bit for bit; on a GPU, if the run is deterministic.
"""

import time
import traceback
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ReduceLROnPlateau

from convnets import transfer
from convnets.models import for_training
from convnets.models.googlenet import GoogLeNet
from convnets.models.googlenet_auxiliary import AUXILIARY_WEIGHT, WithAuxiliaries
from convnets.tables import counted
from convnets.training.augmentation import make_augmentation
from convnets.training.batches import Batches, step_seed
from convnets.training.data import VALIDATION_SHARE, AnyDataset, AnySplit
from convnets.training.device import make_generator, seed_default_generator
from convnets.training.evaluation import BATCH_SIZE, loss_and_accuracy
from convnets.training.interrupt import DeferredInterrupt
from convnets.training.memory import out_of_memory
from convnets.training.recipes import MovingAverage, make_optimizer, make_schedule
from convnets.training.record import Epoch, RunRecord
from convnets.training.reporting import Reporter, check_loss, stopped
from convnets.training.run_folder import RunFolder

SAVE_SECONDS = 60
"""Time between two checkpoints within an epoch."""
SYNC_EVERY = 50
"""Steps between two transfers of metrics from the device; each transfer makes a GPU wait."""


class Trainer:
    """Trains one network; `fit` calls `load_checkpoint`, `train`, `evaluate` and `finish`.

    Args:
        record: settings and network of the run; training adds losses and accuracies to it.
        dataset: its training images, of which a tenth is held out for validation.
        accelerator: chooses devices, processes and the number format.
        folder: where checkpoints and results are written; nothing is written if `None`.
        accumulation_steps: parts of a batch whose gradients are added up for one step.
        compile_mode: of torch.compile; the network is not compiled if `None`.
        num_workers: processes that read image files.

    Raises:
        ValueError: a name in the recipe is unknown, it has auxiliary classifiers and the network
            has none, processes and accumulation steps cannot share a batch evenly, or there are
            more processes than images.
    """

    def __init__(
        self,
        record: RunRecord,
        dataset: AnyDataset,
        accelerator: Accelerator,
        folder: RunFolder | None = None,
        accumulation_steps: int = 1,
        compile_mode: str | None = None,
        num_workers: int = 0,
    ) -> None:
        # Settings
        self.record, self.recipe, self.dataset = record, record.recipe, dataset
        self.accelerator, self.folder, self.num_workers = accelerator, folder, num_workers
        self.accumulation_steps = accumulation_steps
        recipe, device, processes = record.recipe, accelerator.device, accelerator.num_processes
        if accumulation_steps < 1:
            raise ValueError(f"accumulation_steps must be at least 1, got {accumulation_steps}")
        parts = processes * accumulation_steps
        if recipe.batch_size % parts:
            raise ValueError(
                f"a batch of {counted(recipe.batch_size, 'image')} cannot be split into {parts} "
                f"equal parts, for {counted(processes, 'process', 'processes')} with "
                f"{counted(accumulation_steps, 'accumulation step')}; choose a multiple of {parts}"
            )

        # Model: `learner` is the network, with auxiliary classifiers where the recipe has them.
        self.net = record.net.to(  # type: ignore[call-overload]
            device, memory_format=torch.channels_last
        )
        self.learner: nn.Module = self.net
        if recipe.auxiliaries:
            if not isinstance(self.net, GoogLeNet):
                raise ValueError(
                    f"{type(self.net).__name__} is not a GoogLeNet and has no auxiliary "
                    "classifiers; choose a recipe with auxiliaries=False"
                )
            self.learner = WithAuxiliaries(self.net).to(device)
        if processes > 1 and device.type == "cuda":
            # Batch statistics over all processes; PyTorch offers them for GPUs only.
            self.learner = nn.SyncBatchNorm.convert_sync_batchnorm(self.learner)

        # Data
        train, validation = random_split(dataset.train, VALIDATION_SHARE, record.seed)
        self.train_batches = self.make_batches(train, recipe.batch_size, record.seed)
        self.images_per_step = min(recipe.batch_size, len(train))  # over all processes
        if self.images_per_step < processes:
            raise ValueError(
                f"{processes} processes cannot share {self.images_per_step} training images; "
                "start fewer processes, or train on more images"
            )
        self.validation_batches = self.make_batches(validation)
        self.augment = make_augmentation(recipe.augmentation, dataset, device)

        # Optimizer
        optimizer = make_optimizer(self.learner, recipe)
        self.steps = len(self.train_batches) * recipe.epochs
        self.schedule = make_schedule(optimizer, recipe, self.steps)
        self.ema = None if recipe.average is None else MovingAverage(self.net, recipe.average)
        is_bfloat16 = accelerator.mixed_precision == "bf16"
        learner = for_training(self.learner) if is_bfloat16 else self.learner
        if compile_mode:  # PyTorch compiles a class for eight networks, and then no longer
            torch.compiler.reset()
        model = torch.compile(learner, mode=compile_mode) if compile_mode else learner
        self.model = accelerator.prepare(model)
        # What accelerate adds to an optimizer is the scaling of 16-bit floats; it costs time.
        self.optimizer = optimizer if accelerator.scaler is None else accelerator.prepare(optimizer)

        # Bookkeeping
        self.step_metrics: list[Tensor] = []
        """Loss and accuracy (2,) of each step since the last `sync_metrics`, on the device."""
        self.saved_at = time.monotonic()
        parts = {"net": self.learner, "optimizer": self.optimizer, "schedule": self.schedule}
        parts |= {"ema": self.ema, "scaler": accelerator.scaler}
        self.checkpointed = {name: part for name, part in parts.items() if part is not None}

    def make_batches(
        self, split: AnySplit, batch_size: int = BATCH_SIZE, seed: int | None = None
    ) -> Batches:
        """Batches of `split`, prepared for this network; shuffled if there is a seed."""
        device = self.accelerator.device
        return Batches(split, self.dataset, self.net, device, batch_size, seed, self.num_workers)

    def train(self, interrupt: DeferredInterrupt, progress: bool) -> None:
        """Train for the epochs that are left, and save a checkpoint after each.

        Raises:
            KeyboardInterrupt: `interrupt` was requested; the checkpoint is saved.
            FloatingPointError: the loss is not finite.
            MemoryError: a batch does not fit into memory.
        """
        record, is_main_process = self.record, self.accelerator.is_main_process
        self.started = time.perf_counter() - record.seconds
        with Reporter(
            record, self.steps, self.images_per_step, self.folder, progress, is_main_process
        ) as reporter:
            while len(record.epochs) < self.recipe.epochs:
                number = len(record.epochs) + 1
                training = self.train_one_epoch(number, interrupt, reporter)
                validation = self.evaluate(self.validation_batches)
                seconds = self.count_seconds() - sum(epoch.seconds for epoch in record.epochs)
                record.epochs.append(Epoch(number, *training, *validation, seconds))
                reporter.log_epoch(self.optimizer.param_groups[0]["lr"])
                if isinstance(self.schedule, ReduceLROnPlateau):
                    self.schedule.step(record.epochs[-1].validation_accuracy)
                self.save_checkpoint()

    def train_one_epoch(
        self, number: int, interrupt: DeferredInterrupt, reporter: Reporter
    ) -> tuple[float, float]:
        """Train on the batches that are left in epoch `number`.

        Returns:
            Means over all steps of the epoch: loss in nats, accuracy between 0 and 1.
        """
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        length = len(self.train_batches)
        first = len(self.record.step_losses) - (number - 1) * length
        self.model.train()
        for images, labels in self.train_batches.epoch(number, first, rank, processes):
            self.train_step(images, labels)
            reporter.log_step()
            if len(self.step_metrics) >= SYNC_EVERY:
                self.sync_metrics()
                reporter.log_metrics()
            if self.any_process(interrupt.requested):
                self.save_checkpoint()
                raise KeyboardInterrupt(stopped(self.record, self.steps, self.folder))
            if self.any_process(time.monotonic() - self.saved_at > SAVE_SECONDS):
                self.save_checkpoint()
        self.sync_metrics()
        steps = (self.record.step_losses[-length:], self.record.step_accuracies[-length:])
        loss, accuracy = (sum(values) / length for values in steps)
        return loss, accuracy

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        """One step of the optimizer on this process's share of a batch.

        Args:
            images: normalised images (N, C, H, W).
            labels: indices of their classes (N,).
        """
        step = len(self.record.step_losses) + len(self.step_metrics)
        seed = step_seed(self.record.seed, step, self.accelerator.process_index)
        seed_default_generator(images.device, seed)
        images = self.augment(images, make_generator(images.device, seed))
        self.step_metrics.append(self.accumulate_gradients(images, labels))
        if self.recipe.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if not isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step()
        if self.ema is not None:
            self.ema.update_parameters(self.net)

    def accumulate_gradients(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gradients of the mean loss over all processes, computed in parts.

        The processes' gradients and metrics are averaged. A process with more images than another,
        as in an incomplete batch, therefore has a larger share, and the shares have a mean of 1.

        Returns:
            Loss and accuracy (2,), both times the share of this process.

        Raises:
            MemoryError: a part does not fit into memory; the message names a size that does.
        """
        parts = [each.chunk(self.accumulation_steps) for each in (images, labels)]
        metrics, processes = [], self.accelerator.num_processes
        try:
            for part, (x, y) in enumerate(zip(*parts, strict=True), start=1):
                is_last = part == len(parts[0])  # then the processes exchange their gradients
                with nullcontext() if is_last else self.accelerator.no_sync(self.model):
                    share = len(x) * processes / self.images_per_step
                    metrics.append(self.forward_backward(x, y, share))
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            traceback.clear_frames(error.__traceback__)  # frees the tensors of the failed pass
            with self.accelerator.no_sync(self.model):
                raise out_of_memory(
                    lambda size: self.forward_backward(images[:size], labels[:size]),
                    len(parts[0][0]),
                    self.accumulation_steps,
                    processes,
                    images.device,
                ) from error
        return sum(metrics[1:], start=metrics[0])

    def forward_backward(self, images: Tensor, labels: Tensor, share: float = 1.0) -> Tensor:
        """Forward and backward pass; returns loss and accuracy (2,), both times `share`.

        Args:
            images: (N, C, H, W).
            labels: (N,).
            share: weight of these images; 1 for the whole batch of one process.
        """
        scores, scaler = self.model(images), self.accelerator.scaler
        loss = training_loss(scores, labels, self.recipe.label_smoothing)
        weighted = loss if share == 1 else loss * share
        (weighted if scaler is None else scaler.scale(weighted)).backward()
        correct = (main_scores(scores).argmax(1) == labels).float().mean()
        metrics = torch.stack([loss.detach().float(), correct])
        return metrics if share == 1 else metrics * share

    def sync_metrics(self) -> None:
        """Move the metrics of the last steps, averaged over the processes, into the record.

        Raises:
            FloatingPointError: the last loss is not finite.
        """
        if self.step_metrics:
            metrics = self.accelerator.reduce(torch.stack(self.step_metrics), "mean")
            metrics = transfer.to_cpu(metrics)  # (steps, 2)
            self.step_metrics.clear()
            losses, accuracies = metrics.T.tolist()
            self.record.step_losses += losses
            self.record.step_accuracies += accuracies
        check_loss(self.record, self.folder)

    def any_process(self, flag: bool) -> bool:
        """Whether any process sets `flag`; several processes compare every `SYNC_EVERY` steps."""
        if self.accelerator.num_processes == 1:
            return flag
        if self.step_metrics:
            return False
        flags = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(transfer.to_cpu(self.accelerator.reduce(flags, "sum")) > 0)

    def evaluate(self, batches: Batches) -> tuple[float, float]:
        """Loss in nats and accuracy of the network, with its averaged weights where it has them."""
        net = self.net if self.ema is None else self.ema.module
        for buffer in net.buffers():  # on several CPUs, each has the batch statistics of its images
            broadcast(buffer)
        accelerator, smoothing = self.accelerator, self.recipe.label_smoothing
        rank, processes = accelerator.process_index, accelerator.num_processes
        with accelerator.autocast():
            return loss_and_accuracy(
                [net], batches, label_smoothing=smoothing, rank=rank, processes=processes
            )

    def count_seconds(self) -> float:
        """Bring the time that the run has taken, without its pauses, into the record."""
        self.record.seconds = time.perf_counter() - self.started
        return self.record.seconds

    def save_checkpoint(self) -> None:
        """Replace the checkpoint in the folder of the run, if it has one."""
        self.sync_metrics()
        self.count_seconds()
        if self.folder is not None:
            self.folder.save_checkpoint(self.checkpointed, self.record)
        self.saved_at = time.monotonic()

    def load_checkpoint(self, resume: bool) -> None:
        """Prepare the folder of the run, if it has one, and continue from its checkpoint.

        Raises:
            ValueError: the folder cannot be used, or its checkpoint is damaged or of another run.
        """
        if self.folder is not None:
            weights = sum(value.nbytes for value in self.learner.state_dict().values())
            self.folder.prepare(3 * weights, resume)  # weights, momenta, averaged weights
            self.folder.load_checkpoint(self.checkpointed, self.record)

    def finish(self) -> None:
        """Leave the network as a plain module with its final weights, and write the results."""
        for wrapper in ("forward", "_original_forward"):  # set by accelerate on the instance
            vars(self.learner).pop(wrapper, None)
        if self.ema is not None:
            self.net.load_state_dict(self.ema.module.state_dict())
        if self.folder is not None:
            self.folder.save_results(self.record)


def training_loss(
    scores: Tensor | tuple[Tensor, ...], labels: Tensor, label_smoothing: float
) -> Tensor:
    """Cross entropy in nats, a scalar; auxiliary classifiers add theirs by `AUXILIARY_WEIGHT`.

    Args:
        scores: (N, classes), or a tuple of those: of the network, then of auxiliary classifiers.
        labels: (N,).
        label_smoothing: between 0 and 1 (Szegedy et al., 2016, section 7).
    """
    loss = cross_entropy(main_scores(scores), labels, label_smoothing=label_smoothing)
    for auxiliary in () if isinstance(scores, Tensor) else scores[1:]:
        extra = cross_entropy(auxiliary, labels, label_smoothing=label_smoothing)
        loss = loss + AUXILIARY_WEIGHT * extra
    return loss


def main_scores(scores: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The scores (N, classes) of the network itself, without those of auxiliary classifiers."""
    return scores if isinstance(scores, Tensor) else scores[0]


def random_split(split: AnySplit, share: float, seed: int) -> tuple[AnySplit, AnySplit]:
    """Two random parts of a split; the second has `share` of its images."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    size = round(share * len(split))
    return split.subset(order[size:]), split.subset(order[:size])
