"""Everything that needs a GPU, in one command: `make gpu`, or `python -m benchmarks.gpu`.

It runs the tests marked `gpu`, measures training, and runs every experiment with its GPU budget.
`results/gpu.md` is written line by line, so a part that fails or a command that is stopped keeps
what was measured. The experiments are written where `convnets.experiments.recorded` finds them,
after each run, so a second command continues them. The tables take minutes, most of them to
compile; the experiments take hours.
"""

import subprocess
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import torch

from benchmarks import measure
from benchmarks.gpu_loops import PHOTOGRAPHS, SMALL, clean, loading_lines, speed_lines
from convnets import experiments
from convnets.experiments import EXPERIMENTS, RECORDED, Experiment
from convnets.training.device import default_device

RESULTS = Path(__file__).with_name("results") / "gpu.md"
NO_GPU = (
    "make gpu measures on NVIDIA GPUs, and PyTorch finds none here; run it on a machine with one."
)
HEAD = """# Training on a GPU

{machine}.

All networks run in the loop of `fit` and in a bare loop, in turn; the overhead is the median of our
time divided by that of the bare loop, minus one. Our compiled networks are compared with the bare
loop of the plain network, so their overhead is negative where compilation pays. The share of the
peak counts three forward passes of multiply-accumulates for a step, by those of a product of large
matrices in the same format. Memory is what PyTorch takes of the GPU, without the images.
"""


class Report:
    """A Markdown file that grows line by line, so that what was measured is never lost.

    Args:
        path: the file.
        head: its first lines.
    """

    def __init__(self, path: Path, head: str) -> None:
        self.path, self.lines, self.failed = path, [head], False

    def add(self, title: str, lines: Iterable[str]) -> None:
        """Write and print a section; if making its lines fails, the section ends with the error."""
        self._write(f"\n## {title}\n")
        try:
            for line in lines:
                self._write(line)
        except Exception as error:
            traceback.print_exc()
            self.failed = True
            self._write(f"\nFAILED: {error}")

    def _write(self, line: str) -> None:
        self.lines.append(line)
        self.path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        print(line, flush=True)


def machine() -> str:
    """Date, GPUs, and the versions that decide their speed."""
    number = torch.cuda.device_count()
    cudnn = torch.backends.cudnn.version()
    versions = f"driver {driver()}, CUDA {torch.version.cuda}, cuDNN {cudnn}"
    return f"{measure.machine()}, {number} GPU{'s' if number > 1 else ''}, {versions}"


def driver() -> str:
    """The version of the GPU's driver."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.split()[0]


def pytest_lines(folder: str = "tests") -> Iterator[str]:
    """Run the tests marked `gpu`; the last line of pytest's report.

    Raises:
        RuntimeError: a test failed.
    """
    command = [sys.executable, "-m", "pytest", "-m", "gpu", folder]
    yield printed(command).splitlines()[-1]


def scaling_lines(
    devices: int, program: tuple[str, ...] = ("-m", "benchmarks.gpu_loops")
) -> Iterator[str]:
    """A table of images/s with one GPU and with `devices`, each in processes of their own.

    Args:
        devices: GPUs of this machine.
        program: arguments of Python; it prints the images/s of all processes together.

    Raises:
        RuntimeError: a process failed.
    """
    yield "| GPUs | images/s | efficiency |"
    yield "| ---: | ---: | ---: |"
    rates = {}
    clean(default_device())  # so that the processes have all memory
    for number in (1, devices):
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
        rates[number] = float(printed([sys.executable, *launcher, *program]).split()[-1])
        share = f"{rates[number] / number / rates[1]:.0%}" if number > 1 else ""
        yield f"| {number} | {rates[number]:.0f} | {share} |"


def printed(command: list[str]) -> str:
    """What a command prints.

    Raises:
        RuntimeError: it failed; the end of what it printed is printed here.
    """
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        print(run.stdout[-10_000:], run.stderr[-10_000:], sep="\n", flush=True)
        last = (run.stdout.strip() or run.stderr.strip()).splitlines()[-1:]
        raise RuntimeError(f"{' '.join(command[1:4])} ended with status {run.returncode}: {last}")
    return run.stdout.strip()


def experiment_lines(
    chosen: Collection[Experiment] = EXPERIMENTS.values(),
    folder: Path = RECORDED,
    budget: str = "gpu",
) -> Iterator[str]:
    """Run experiments, or what is left of them: all with two seeds first, then with all seeds.

    So a command that is stopped early has results of each.

    Raises:
        RuntimeError: at the end, if some could not be run.
    """
    failed = []
    for experiment, seeds in [*((each, 2) for each in chosen), *((each, None) for each in chosen)]:
        path = folder / f"{experiment.name}-{budget}.json"
        try:
            result = experiments.run(experiment, budget, seeds, path)
        except Exception as error:
            if seeds is None:
                failed.append(experiment.name)
                yield f"- {experiment.name}: not finished, because {error}"
        else:
            if seeds is None:
                verdict = " ".join(result.verdict().splitlines())
                yield f"- {experiment.name}: {verdict} ({result.origin()})"
    if failed:
        raise RuntimeError(f"could not be run: {', '.join(failed)}")


def main() -> None:
    """Measure, write `results/gpu.md`, and print it."""
    if not torch.cuda.is_available():
        sys.exit(NO_GPU)
    gpu, count = torch.device("cuda"), torch.cuda.device_count()
    report = Report(RESULTS, HEAD.format(machine=machine()))
    report.add("Tests marked gpu", pytest_lines())
    report.add("ResNet-50, images of 224x224 pixels", speed_lines(PHOTOGRAPHS, gpu))
    report.add("ResNet-50 on image files", loading_lines(PHOTOGRAPHS, gpu))
    report.add("Small networks and small images", speed_lines(SMALL, gpu))
    if count > 1:
        report.add(f"{count} GPUs, ResNet-50, the same batch on each", scaling_lines(count))
    report.add("Experiments with their GPU budgets", experiment_lines())
    if report.failed:
        sys.exit("a part of make gpu failed; the messages above say which")


if __name__ == "__main__":
    main()
