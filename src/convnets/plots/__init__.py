"""The course's pictures: functions that draw on axes, in one style, without global state."""

from convnets.plots.style import PALETTE, CourseFigure, figure, styled

__all__ = ["PALETTE", "CourseFigure", "figure", "styled"]
