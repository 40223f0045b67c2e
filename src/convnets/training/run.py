"""One training run, step by step: what `fit` calls.

Chance (dropout, augmentation) depends on seed and step alone, so a run that goes on from a
checkpoint is the same as one that never stopped.
"""

import math
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm.auto import tqdm

from convnets.models.googlenet import GoogLeNet
from convnets.models.googlenet_auxiliary import AUXILIARY_WEIGHT, WithAuxiliaries
from convnets.training import run_folder
from convnets.training.augmentation import make_augmentation
from convnets.training.batches import Batches, step_seed
from convnets.training.data import AnyDataset, AnySplit
from convnets.training.evaluation import BATCH, accuracy
from convnets.training.interrupt import StopAsked
from convnets.training.optimization import averaged, make_optimizer, make_schedule
from convnets.training.record import Epoch, RunRecord

VALIDATION_SHARE = 0.1
SAVE_SECONDS = 60
CHECK_EVERY = 50
"""Steps between two looks at the loss; each look makes a GPU wait."""
NO_MEMORY = "can't allocate memory"
"""What PyTorch says on a CPU."""


class Run:
    """One training run: the network, and all that changes while it learns."""

    def __init__(
        self,
        history: RunRecord,
        dataset: AnyDataset,
        accelerator: Accelerator,
        accumulation_steps: int = 1,
        compile: bool = False,
        num_workers: int = 0,
    ) -> None:
        self.history, self.dataset, self.accelerator = history, dataset, accelerator
        self.recipe = history.recipe
        shares = accelerator.num_processes * accumulation_steps
        if accumulation_steps < 1 or self.recipe.batch_size % shares:
            raise ValueError(
                f"a batch of {self.recipe.batch_size} images cannot be shared evenly by "
                f"{accelerator.num_processes} processes in {accumulation_steps} accumulation "
                f"steps each; choose a multiple of {shares}"
            )
        self.accumulation_steps, self.num_workers = accumulation_steps, num_workers
        self.folder: Path | None = None
        self.board: Any = None
        self.pending: list[Tensor] = []
        """Loss and share of images classified right of the last steps, still on the device."""
        self.running_accuracy = 0.0
        self.net = history.net.to(  # type: ignore[call-overload]
            accelerator.device, memory_format=torch.channels_last
        )
        self.learner: nn.Module = self.net
        if self.recipe.auxiliaries and isinstance(self.net, GoogLeNet):
            self.learner = WithAuxiliaries(self.net).to(accelerator.device)
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            # Statistics of a whole batch; PyTorch has this for GPUs only.
            self.learner = nn.SyncBatchNorm.convert_sync_batchnorm(self.learner)
        train, validation = split_off(dataset.train, VALIDATION_SHARE, history.seed)
        self.batches = self.batches_of(train, self.recipe.batch_size, history.seed)
        self.held_out = self.batches_of(validation, BATCH)
        self.augment = make_augmentation(self.recipe.augmentation, dataset)
        optimizer = make_optimizer(self.learner, self.recipe)
        self.steps = len(self.batches) * self.recipe.epochs
        self.schedule = make_schedule(optimizer, self.recipe, self.steps)
        decay = self.recipe.average
        self.average = None if decay is None else averaged(self.net, decay)
        model = torch.compile(self.learner) if compile else self.learner
        self.model, self.optimizer = accelerator.prepare(model, optimizer)

    def train(self, stop: StopAsked, progress: bool) -> None:
        """All epochs that are left."""
        history, recipe, length = self.history, self.recipe, len(self.batches)
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        bar = tqdm(
            total=self.steps * recipe.batch_size,
            initial=len(history.step_losses) * recipe.batch_size,
            disable=not (progress and self.accelerator.is_main_process),
            unit=" images",
            unit_scale=True,
            leave=False,
        )
        saved = time.monotonic()
        with bar:
            while len(history.epochs) < recipe.epochs:
                number, start = len(history.epochs) + 1, time.perf_counter()
                seen = len(history.step_losses) - (number - 1) * length
                self.model.train()
                for images, labels in self.batches.epoch(number, seen, rank, processes):
                    self.step(images, labels)
                    bar.update(recipe.batch_size)
                    if len(self.pending) >= CHECK_EVERY:
                        bar.set_postfix(self._progress(self.note()))
                    if self._any(stop.asked):
                        self.save()
                        raise KeyboardInterrupt(self._stopped())
                    if self._any(time.monotonic() - saved > SAVE_SECONDS):
                        self.save()
                        saved = time.monotonic()
                self.note()
                share = self.measure(self.held_out)
                loss = sum(history.step_losses[-length:]) / length
                history.epochs.append(Epoch(number, loss, share, time.perf_counter() - start))
                self.log()
                if isinstance(self.schedule, ReduceLROnPlateau):
                    self.schedule.step(share)
                bar.set_postfix(self._progress(loss))
                self.save()
                saved = time.monotonic()

    def step(self, images: Tensor, labels: Tensor) -> None:
        """One step of the optimizer on this process's share of a batch."""
        number = len(self.history.step_losses) + len(self.pending)
        seed = step_seed(self.history.seed, number, self.accelerator.process_index)
        torch.manual_seed(seed)
        images = self.augment(images, torch.Generator(images.device).manual_seed(seed))
        measured = []
        try:
            pieces = list(
                zip(
                    images.chunk(self.accumulation_steps),
                    labels.chunk(self.accumulation_steps),
                    strict=True,
                )
            )
            for i, (some, their_labels) in enumerate(pieces, start=1):
                alone = i < len(pieces) and self.accelerator.num_processes > 1
                with self.accelerator.no_sync(self.model) if alone else nullcontext():
                    scores = self.model(some)
                    weight = len(some) / len(images)
                    loss = self.loss(scores, their_labels) * weight
                    self.accelerator.backward(loss)
                right = (main_scores(scores).argmax(1) == their_labels).float().mean() * weight
                measured.append(torch.stack([loss.detach().float(), right]))
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and NO_MEMORY not in str(error):
                raise
            raise MemoryError(self._too_large(images, labels)) from error
        if self.recipe.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if not isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.net)
        self.pending.append(torch.stack(measured).sum(dim=0))

    def loss(self, scores: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Cross entropy, plus that of auxiliary classifiers, if there are some, by their weight."""
        smoothing = self.recipe.label_smoothing
        loss = cross_entropy(main_scores(scores), labels, label_smoothing=smoothing)
        for other in () if isinstance(scores, Tensor) else scores[1:]:
            loss = loss + AUXILIARY_WEIGHT * cross_entropy(other, labels, label_smoothing=smoothing)
        return loss

    def note(self) -> float:
        """Put the losses of the last steps into the history, and the last one out.

        Raises:
            FloatingPointError: it is no longer a number.
        """
        if self.pending:
            measured = self.accelerator.reduce(torch.stack(self.pending), "mean")
            self.pending.clear()
            self.history.step_losses += measured[:, 0].tolist()
            self.running_accuracy = measured[:, 1].mean().item()
        last = self.history.step_losses[-1]
        if not math.isfinite(last):
            good = self.folder is not None and (self.folder / run_folder.CHECKPOINT).exists()
            kept = f"; the last good checkpoint is in {self.folder}" if good else ""
            raise FloatingPointError(
                f"the loss is {last} at step {len(self.history.step_losses)}; lower the learning "
                f"rate of {self.recipe.learning_rate} or normalise the activations{kept}"
            )
        return last

    def log(self) -> None:
        """The last epoch, for TensorBoard."""
        if self.board is None:
            return
        last, end = self.history.epochs[-1], len(self.history.step_losses)
        for step in range(end - len(self.batches), end):
            self.board.add_scalar("training loss", self.history.step_losses[step], step)
        self.board.add_scalar("validation accuracy", last.validation_accuracy, end)
        self.board.add_scalar("learning rate", self.optimizer.param_groups[0]["lr"], end)
        self.board.flush()

    def measure(self, batches: Batches) -> float:
        """Share of the images that the network, or its running average, classifies right."""
        net = self.net if self.average is None else self.average.module
        with self.accelerator.autocast():
            return accuracy([net], batches)

    def open(self, folder: Path, name: str, resume: bool) -> None:
        """Write checkpoints to `folder` from now on, and go on from the one that is there."""
        weights = sum(value.nbytes for value in self.learner.state_dict().values())
        if self.accelerator.is_main_process:
            run_folder.prepare(folder, 3 * weights, resume)
        self.accelerator.wait_for_everyone()
        self.folder = folder
        self.settings = {
            "network": name,
            "images": len(self.dataset.train),
            "accumulation_steps": self.accumulation_steps,
        }
        self.settings |= self.history.settings()
        state = run_folder.checkpoint(folder, self.accelerator.device)
        if state is not None:
            self._restore(state)
        elif self.accelerator.is_main_process:
            run_folder.describe(folder, self.settings)
        if self.accelerator.is_main_process:
            self.board = run_folder.board(folder, len(self.history.step_losses))

    def save(self) -> None:
        """Replace the checkpoint by one of this step."""
        self.note()
        if self.folder is None or not self.accelerator.is_main_process:
            return
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {
            "settings": self.settings,
            "epochs": [asdict(epoch) for epoch in self.history.epochs],
            "step_losses": self.history.step_losses,
        }
        run_folder.save(self.folder, run_folder.CHECKPOINT, state)

    def close(self) -> None:
        """Leave the trained network as a plain module, and write what stays of the run."""
        for wrapper in ("forward", "_original_forward"):  # what accelerate put over the class's own
            vars(self.learner).pop(wrapper, None)
        if self.average is not None:
            self.net.load_state_dict(self.average.module.state_dict())
        if self.board is not None:
            self.board.close()
        if self.folder is not None and self.accelerator.is_main_process:
            run_folder.finish(self.folder, self.history)

    def _parts(self) -> dict[str, Any]:
        """All that learns or counts."""
        parts = {"net": self.learner, "optimizer": self.optimizer, "schedule": self.schedule}
        parts |= {"average": self.average, "scaler": self.accelerator.scaler}
        return {name: part for name, part in parts.items() if part is not None}

    def _restore(self, state: dict[str, Any]) -> None:
        before = state["settings"]
        wrong = [key for key in self.settings if self.settings[key] != before.get(key)]
        if wrong := [key for key in wrong if key != "device"]:
            raise ValueError(
                f"{self.folder} holds a run with another {wrong[0]} ({before.get(wrong[0])}, now "
                f"{self.settings[wrong[0]]}); go on with the same one, or choose another folder"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.history.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        self.history.step_losses = state["step_losses"]

    def _any(self, asked: bool) -> bool:
        """Whether any process asks; several processes agree every `CHECK_EVERY` steps."""
        if self.accelerator.num_processes == 1:
            return asked
        if self.pending:
            return False
        flag = torch.tensor(float(asked), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def _too_large(self, images: Tensor, labels: Tensor) -> str:
        """Find a size that fits by halving, and say it."""
        size = len(images)
        while size > 1:
            size //= 2
            self.optimizer.zero_grad()
            torch.cuda.empty_cache()
            try:
                self.accelerator.backward(self.loss(self.model(images[:size]), labels[:size]))
            except RuntimeError:
                continue
            parts = math.ceil(len(images) / size)
            return (
                f"{len(images)} images at once do not fit into the memory of {images.device}; "
                f"{size} do: choose batch_size={size} (--batch-size), or the same batch in "
                f"accumulation_steps={parts * self.accumulation_steps} (--accumulation-steps)"
            )
        return f"not even one image fits into the memory of {images.device}; take a smaller network"

    def _progress(self, loss: float) -> dict[str, str]:
        """What the progress bar says beside images a second and the time that is left."""
        epochs = self.history.epochs
        return {
            "loss": f"{loss:.3f}",
            "accuracy": f"{self.running_accuracy:.1%}",
            "validation": f"{epochs[-1].validation_accuracy:.1%}" if epochs else "not yet",
        }

    def _stopped(self) -> str:
        where = f"stopped after step {len(self.history.step_losses)} of {self.steps}; "
        if self.folder is None:
            return (
                where + "nothing is kept, since the run has no folder (output_dir=…, --output-dir)"
            )
        return where + f"go on with resume=True (--resume) and the folder {self.folder}"

    def batches_of(self, split: AnySplit, batch_size: int, seed: int | None = None) -> Batches:
        """Batches of `split` as this network takes them."""
        device = self.accelerator.device
        return Batches(split, self.dataset, self.net, device, batch_size, seed, self.num_workers)


def main_scores(scores: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The scores (N, classes) of the network itself, without its auxiliary classifiers'."""
    return scores if isinstance(scores, Tensor) else scores[0]


def split_off(split: AnySplit, share: float, seed: int) -> tuple[AnySplit, AnySplit]:
    """Two parts of a split, the second with `share` of the images, chosen by `seed`."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    size = round(share * len(split))
    return split.subset(order[size:]), split.subset(order[:size])
