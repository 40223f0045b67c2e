"""The result of an experiment: its runs, their summaries, and a verdict on each hypothesis."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convnets.experiments.core import Cost, Hypothesis, Metric

if TYPE_CHECKING:
    import pandas as pd

T_975 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""97.5 % quantiles of Student's t for 1, 2, … degrees of freedom. The last one also stands for all
larger numbers, where it is slightly too large."""


@dataclass(frozen=True, kw_only=True)
class ArmRun:
    """One arm, trained once with one seed."""

    arm: str
    seed: int
    test_accuracy: float
    """Share of the test images, between 0 and 1."""
    training_loss: float
    """Mean over the last tenth of the steps, in nats."""
    seconds: float
    """Time to build, train and measure the network on `machine`."""
    machine: str
    """Device, versions of PyTorch and Python, precision."""
    date: str
    """ISO 8601, in UTC."""
    commit: str | None = None
    """Commit that was run, with "-dirty" if tracked files had been changed. `None` if the package
    did not run from a Git checkout, and for runs with `added_in_commit`."""
    added_in_commit: str | None = None
    """First commit that holds this run, for runs made before `commit` was recorded."""
    validation_accuracies: list[float]
    """After each epoch, to six significant digits."""
    losses: list[float]
    """Training loss from the first step to the last, in nats, to six significant digits. Longer
    runs are averaged over 200 stretches of equal length."""

    def value(self, metric: Metric) -> float:
        """The test accuracy, between 0 and 1, or the training loss in nats."""
        return self.test_accuracy if metric == "test accuracy" else self.training_loss


@dataclass(frozen=True)
class Summary:
    """All runs of one arm: cost, and the metric's mean, range and spread."""

    arm: str
    parameters: int
    macs: int
    """Multiply-accumulates for one image."""
    runs: int
    mean: float
    lowest: float
    highest: float
    standard_error: float | None
    """Of the mean; `None` for a single run."""
    seconds: float
    """Mean time of a run."""


@dataclass(frozen=True)
class Comparison:
    """The difference between two arms, and how much of it different seeds alone could explain."""

    hypothesis: Hypothesis
    difference: float
    """Between the means, in the unit of the metric. Positive if the hypothesis has the right sign:
    a higher accuracy or a lower loss."""
    margin: float | None
    """Half the 95 % confidence interval of the difference (Student's t, pooled variance). `None` if
    an arm was run only once."""

    @property
    def supported(self) -> bool | None:
        """Whether the runs support the hypothesis.

        `True` if the difference exceeds the margin, `False` if the opposite difference does, `None`
        if neither does.
        """
        if self.margin is None or abs(self.difference) <= self.margin:
            return None
        return self.difference > 0


@dataclass
class ExperimentResult:
    """The runs of an experiment at one budget."""

    experiment: str
    question: str
    metric: Metric
    budget: dict[str, Any]
    """The fields of `Budget`, as plain data."""
    costs: dict[str, Cost]
    """Of each arm, in the order of the experiment."""
    hypotheses: list[Hypothesis]
    runs: list[ArmRun] = field(default_factory=list)

    def summary(self, arm: str) -> Summary:
        """Summarise the runs of one arm.

        Raises:
            ValueError: The arm has not been run.
        """
        runs = [run for run in self.runs if run.arm == arm]
        if not runs:
            raise ValueError(f"{self.experiment} has no run of {arm!r}; run the experiment first")
        values = [run.value(self.metric) for run in runs]
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
        return Summary(
            arm,
            **asdict(self.costs[arm]),
            runs=len(runs),
            mean=statistics.fmean(values),
            lowest=min(values),
            highest=max(values),
            standard_error=error,
            seconds=statistics.fmean(run.seconds for run in runs),
        )

    def summaries(self) -> list[Summary]:
        """Summarise every arm, in the order of the experiment.

        Raises:
            ValueError: An arm has not been run.
        """
        return [self.summary(arm) for arm in self.costs]

    def frame(self) -> pd.DataFrame:
        """The summaries as a pandas frame with a row for each arm.

        Raises:
            ValueError: An arm has not been run.
        """
        import pandas as pd

        return pd.DataFrame([asdict(summary) for summary in self.summaries()])

    def compare(self, hypothesis: Hypothesis) -> Comparison:
        """Compare the two arms of a hypothesis.

        Raises:
            ValueError: One of the arms has not been run.
        """
        better, worse = self.summary(hypothesis.better), self.summary(hypothesis.worse)
        difference = better.mean - worse.mean
        difference = difference if self.metric == "test accuracy" else -difference
        if better.standard_error is None or worse.standard_error is None:
            return Comparison(hypothesis, difference, None)
        freedom = better.runs + worse.runs - 2
        pooled = (
            (better.runs - 1) * better.runs * better.standard_error**2
            + (worse.runs - 1) * worse.runs * worse.standard_error**2
        ) / freedom
        error = (pooled * (1 / better.runs + 1 / worse.runs)) ** 0.5
        return Comparison(hypothesis, difference, T_975[min(freedom, len(T_975)) - 1] * error)

    def comparisons(self) -> list[Comparison]:
        """Compare the arms of every hypothesis, in the order of the experiment.

        Raises:
            ValueError: An arm has not been run.
        """
        return [self.compare(hypothesis) for hypothesis in self.hypotheses]

    def verdict(self) -> str:
        """One line for each hypothesis: the two means, and whether they support it.

        Raises:
            ValueError: An arm has not been run.
        """
        return "\n".join(self._sentences(comparison) for comparison in self.comparisons())

    def effort(self) -> str:
        """The images, epochs and seeds of the runs, as in "5,000 images, 8 epochs, 3 seeds"."""
        images, data = self.budget["images"], self.budget["data"]
        children = self.budget["children"]
        runs = [sum(run.arm == arm for run in self.runs) for arm in self.costs]
        fewest, most = min(runs), max(runs)
        parts = [f"all images of {data}" if images is None else f"{images:,} images"]
        parts += [f"{children} networks per search"] if children else []
        parts += [_counted(self.budget["epochs"], "epoch")]
        parts += [_counted(most, "seed") if fewest == most else f"{fewest} to {most} seeds"]
        return ", ".join(parts)

    def origin(self) -> str:
        """The effort, the machines with their versions, and the dates of the runs."""
        days: dict[str, dict[str, None]] = {}
        for run in self.runs:
            days.setdefault(run.machine, {})[run.date] = None
        machines = (f"{machine}, {' and '.join(dates)}" for machine, dates in days.items())
        return "; ".join([self.effort(), *machines])

    def save(self, path: Path | str) -> Path:
        """Write the result to `path` as JSON, one line for each run, so that diffs are readable."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        data = asdict(self)
        data["runs"] = [_without_none(run) for run in data["runs"]]
        text = _block("{}", (f"{json.dumps(k)}: {_section(v)}" for k, v in data.items()), indent=1)
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(path)
        return path

    @classmethod
    def load(cls, path: Path | str) -> ExperimentResult:
        """Read a file that `save` wrote.

        Raises:
            ValueError: The file does not hold the result of an experiment.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            data["costs"] = {arm: Cost(**cost) for arm, cost in data["costs"].items()}
            data["hypotheses"] = [Hypothesis(**hypothesis) for hypothesis in data["hypotheses"]]
            data["runs"] = [ArmRun(**run) for run in data["runs"]]
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} does not hold the result of an experiment ({error})"
            ) from None

    def _sentences(self, comparison: Comparison) -> str:
        better = self.summary(comparison.hypothesis.better)
        worse = self.summary(comparison.hypothesis.worse)
        means = f"{self._mean(better.mean)} against {self._mean(worse.mean)}"
        means = f"{better.arm} against {worse.arm}: {self.metric} {means}."
        if comparison.margin is None:
            return f"{means} One seed does not show how much results vary; run at least two."
        difference, margin = self._sizes(abs(comparison.difference), comparison.margin)
        if comparison.supported is None:
            return (
                f"{means} At this budget the difference of {difference} is not significant: "
                f"different seeds alone could explain {margin}."
            )
        outcome = "the claim holds" if comparison.supported else "the opposite of the claim holds"
        return (
            f"{means} At this budget {outcome}: the difference of {difference} is larger than the "
            f"{margin} that different seeds alone could explain."
        )

    def _mean(self, value: float) -> str:
        return f"{value:.1%}" if self.metric == "test accuracy" else f"{value:.3f}"

    def _sizes(self, difference: float, margin: float) -> tuple[str, str]:
        """Both with their unit, to so many digits that they do not look equal."""
        accuracy = self.metric == "test accuracy"
        scale, unit, digits = (100, " points", 1) if accuracy else (1, "", 3)
        if f"{scale * difference:.{digits}f}" == f"{scale * margin:.{digits}f}":
            digits += 1
        return f"{scale * difference:.{digits}f}{unit}", f"{scale * margin:.{digits}f}{unit}"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _section(value: Any) -> str:
    """JSON with one line for each entry of a list or dictionary."""
    if isinstance(value, dict):
        entries = (f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items())
        return _block("{}", entries, indent=2)
    if isinstance(value, list):
        return _block("[]", map(json.dumps, value), indent=2)
    return json.dumps(value)


def _block(brackets: str, entries: Iterable[str], indent: int) -> str:
    lines = ",\n".join(" " * indent + entry for entry in entries)
    return f"{brackets[0]}\n{lines}\n{' ' * (indent - 1)}{brackets[1]}" if lines else brackets


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
