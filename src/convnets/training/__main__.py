"""`python -m convnets.training resnet20`: train a registered network and measure it."""

import typer

from convnets.training.command import train

typer.run(train)
