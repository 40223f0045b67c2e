"""Everything that needs a GPU, in one command: `make gpu`, or `python -m benchmarks.gpu`.

It runs the tests marked `gpu`, measures training (`results/gpu.md`), and runs every experiment with
its GPU budget. The experiments are written where `convnets.experiments.recorded` finds them, after
each run, so a command that was stopped continues. The tables take about fifteen minutes on an H100,
the experiments much longer.
"""

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import measure
from benchmarks.gpu_loops import PHOTOGRAPHS, SMALL, loading_lines, speed_lines
from convnets import experiments
from convnets.experiments import EXPERIMENTS, RECORDED, Experiment
from convnets.experiments.running import commit_of

RESULTS = Path(__file__).with_name("results") / "gpu.md"
NO_GPU = (
    "make gpu measures on NVIDIA GPUs, and PyTorch finds none here; run it on a machine with one."
)
HEAD = """# Training on a GPU

{machine}, commit {commit}.

All networks run in the loop of `fit` and in a bare loop, in turn; the overhead is the median of our
time divided by that of the bare loop, minus one. The share of the peak counts three forward passes
of multiply-accumulates for a step, by those of a product of large matrices in the same format.
"""


def machine() -> str:
    """Date, GPUs, and the versions that decide their speed."""
    number = torch.cuda.device_count()
    cudnn = torch.backends.cudnn.version()
    return f"{measure.machine()}, {number} GPU, CUDA {torch.version.cuda}, cuDNN {cudnn}"


def run_tests() -> str:
    """Run the tests marked `gpu`; the last line of pytest's report."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests"]
    report = subprocess.run(command, capture_output=True, text=True)
    print(report.stdout[-10_000:], flush=True)
    return ("" if report.returncode == 0 else "FAILED: ") + report.stdout.strip().splitlines()[-1]


def scaling_lines(devices: int) -> list[str]:
    """Images/s of one GPU and of `devices`, each in processes of their own."""
    rates = {}
    for number in (1, devices):
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
        command = [sys.executable, *launcher, "-m", "benchmarks.gpu_loops"]
        report = subprocess.run(command, capture_output=True, text=True)
        if report.returncode:
            return [f"Several GPUs failed: {report.stderr.strip().splitlines()[-1]}"]
        rates[number] = float(report.stdout.split()[-1])
    share = rates[devices] / devices / rates[1]
    return [
        "| GPUs | images/s | efficiency |",
        "| ---: | ---: | ---: |",
        f"| 1 | {rates[1]:.0f} | |",
        f"| {devices} | {rates[devices]:.0f} | {share:.0%} |",
    ]


def run_experiment(experiment: Experiment, folder: Path = RECORDED, budget: str = "gpu") -> str:
    """Run an experiment, or what is left of it; one line that says how it ended."""
    path = folder / f"{experiment.name}-{budget}.json"
    try:
        result = experiments.run(experiment, budget, path=path)
    except (FloatingPointError, OSError, RuntimeError, ValueError) as error:
        return f"- {experiment.name}: not finished, because {error}"
    return f"- {experiment.name}: {' '.join(result.verdict().splitlines())} ({result.origin()})"


def main() -> None:
    """Measure, write `results/gpu.md`, and print it."""
    if not torch.cuda.is_available():
        sys.exit(NO_GPU)
    gpu, count = torch.device("cuda"), torch.cuda.device_count()
    lines = [HEAD.format(machine=machine(), commit=commit_of(Path(__file__)))]

    def add(title: str, more: list[str]) -> None:
        lines.extend([f"\n## {title}\n", *more])
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print("\n".join([f"\n{title}\n", *more]), flush=True)

    tests = run_tests()
    add("Tests marked gpu", [tests])
    add("ResNet-50, images of 224x224 pixels", speed_lines(PHOTOGRAPHS, gpu, variants=True))
    add("ResNet-50 on image files", loading_lines(PHOTOGRAPHS, gpu))
    add("Small networks and small images", speed_lines(SMALL, gpu, variants=True))
    if count > 1:
        add(f"{count} GPUs, ResNet-50, the same batch on each", scaling_lines(count))
    add("Experiments with their GPU budgets", [])
    for experiment in EXPERIMENTS.values():
        add_line = run_experiment(experiment)
        lines.append(add_line)
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(add_line, flush=True)
    if tests.startswith("FAILED"):
        sys.exit(tests)


if __name__ == "__main__":
    main()
