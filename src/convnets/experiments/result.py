"""What an experiment found, and how sure one may be of it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convnets.experiments.core import Claim, Cost, Metric

if TYPE_CHECKING:
    import pandas as pd

# Student's t that 2.5 % exceed, for 1, 2, … degrees of freedom; the last stands for all above.
T_975 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One arm, trained once. The curves have six significant digits."""

    arm: str
    seed: int
    test_accuracy: float
    training_loss: float
    """Mean over the last tenth of the steps, in nats."""
    seconds: float
    """Time to build, train and measure the network on `machine`."""
    machine: str
    """Device, versions of PyTorch and Python, precision."""
    date: str
    """ISO 8601, in UTC."""
    commit: str | None = None
    """Commit that was run, with "-dirty" if tracked files had been changed. `None` where the
    package was not run from a Git checkout, and for runs with `added_in_commit`."""
    added_in_commit: str | None = None
    """First commit that holds this run, for runs made before `commit` was recorded."""
    validation_accuracies: list[float]
    """After each epoch."""
    losses: list[float]
    """Training loss from the first to the last step, in nats: means over at most 200 stretches of
    equal length."""

    def value(self, metric: Metric) -> float:
        return self.test_accuracy if metric == "test accuracy" else self.training_loss


@dataclass(frozen=True)
class Summary:
    """All runs of one arm. The standard error of the mean needs two runs."""

    arm: str
    parameters: int
    macs: int
    runs: int
    mean: float
    lowest: float
    highest: float
    standard_error: float | None
    seconds: float
    """Mean of a run."""


@dataclass(frozen=True)
class Finding:
    """How far one arm is ahead of another, and how far chance could bring it."""

    claim: Claim
    lead: float
    """Difference of the means; positive if the claim says so."""
    margin: float | None
    """Half the 95 % interval of the difference (Student's t, pooled variance): what seeds alone
    explain. `None` with one run of each, which says nothing of chance."""

    @property
    def shows(self) -> bool | None:
        """True if the claim shows, False if its opposite does, `None` if neither."""
        if self.margin is None or abs(self.lead) <= self.margin:
            return None
        return self.lead > 0


@dataclass
class Result:
    """The runs of an experiment at one budget. Accuracies are shares between 0 and 1."""

    experiment: str
    question: str
    metric: Metric
    budget: dict[str, Any]
    costs: dict[str, Cost]
    """Of each arm, in the order of the experiment."""
    claims: list[Claim]
    runs: list[Run] = field(default_factory=list)

    def summary(self, arm: str) -> Summary:
        """The runs of `arm` together.

        Raises:
            ValueError: it has not been run.
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
        """One for each arm."""
        return [self.summary(arm) for arm in self.costs]

    def frame(self) -> pd.DataFrame:
        """A pandas frame with a row for each arm."""
        import pandas as pd

        return pd.DataFrame([asdict(summary) for summary in self.summaries()])

    def finding(self, claim: Claim) -> Finding:
        """Whether a claim shows."""
        better, worse = self.summary(claim.better), self.summary(claim.worse)
        lead = better.mean - worse.mean
        lead = lead if self.metric == "test accuracy" else -lead
        freedom = better.runs + worse.runs - 2
        if better.standard_error is None or worse.standard_error is None:
            return Finding(claim, lead, None)
        pooled = (
            (better.runs - 1) * better.runs * better.standard_error**2
            + (worse.runs - 1) * worse.runs * worse.standard_error**2
        ) / freedom
        error = (pooled * (1 / better.runs + 1 / worse.runs)) ** 0.5
        return Finding(claim, lead, T_975[min(freedom, len(T_975)) - 1] * error)

    def verdict(self) -> str:
        """A sentence for each claim: it shows, its opposite shows, or neither."""
        return "\n".join(self._sentence(self.finding(claim)) for claim in self.claims)

    def effort(self) -> str:
        """What each run had of the data, and how often each arm was run."""
        images, data = self.budget["images"], self.budget["data"]
        children = self.budget["children"]
        runs = [sum(run.arm == arm for run in self.runs) for arm in self.costs]
        fewest, most = min(runs), max(runs)
        parts = [f"all images of {data}" if images is None else f"{images:,} images"]
        parts += [f"{children} networks a search"] if children else []
        parts += [_counted(self.budget["epochs"], "epoch")]
        parts += [_counted(most, "seed") if fewest == most else f"{fewest} to {most} seeds"]
        return ", ".join(parts)

    def origin(self) -> str:
        """The effort; machine and versions, with the days on which they ran."""
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
    def load(cls, path: Path | str) -> Result:
        """What `save` wrote, perhaps on another machine.

        Raises:
            ValueError: the file is no result.
        """
        try:
            row = json.loads(Path(path).read_text(encoding="utf-8"))
            row["costs"] = {arm: Cost(**cost) for arm, cost in row["costs"].items()}
            row["claims"] = [Claim(**claim) for claim in row["claims"]]
            row["runs"] = [Run(**run) for run in row["runs"]]
            return cls(**row)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is no result of an experiment ({error})") from None

    def _sentence(self, finding: Finding) -> str:
        better, worse = self.summary(finding.claim.better), self.summary(finding.claim.worse)
        difference = f"{better.arm} against {worse.arm}: {self.metric} "
        difference += f"{self._text(better.mean)} against {self._text(worse.mean)}"
        if finding.margin is None:
            return f"{difference}. One seed says nothing of chance; run at least two."
        chance = f"seeds alone explain {self._size(finding.margin)}"
        lead = f"a difference of {self._size(abs(finding.lead))}, where {chance}"
        if finding.shows is None:
            return f"{difference}. It does not show at this budget: {lead}."
        shows = "the claim shows" if finding.shows else "the opposite of the claim shows"
        return f"{difference}. At this budget {shows}: {lead}."

    def _text(self, value: float) -> str:
        return f"{value:.1%}" if self.metric == "test accuracy" else f"{value:.3f}"

    def _size(self, value: float) -> str:
        return f"{100 * value:.1f} points" if self.metric == "test accuracy" else f"{value:.3f}"


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
