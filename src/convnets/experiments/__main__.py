"""`python -m convnets.experiments degradation --budget cpu --seeds 3 --output-dir results`."""

import typer

from convnets.experiments.command import run_experiments

if __name__ == "__main__":
    typer.run(run_experiments)
