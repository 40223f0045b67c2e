"""Measure networks: layers, shapes, costs, receptive fields, gradients, dead units."""

from convnets.analysis.dead_units import UnitRow, dead_units
from convnets.analysis.gradients import gradient_norms
from convnets.analysis.receptive_field import (
    ReceptiveField,
    Window,
    numerical_receptive_field,
    receptive_field,
    receptive_field_of_chain,
)
from convnets.analysis.trace import LayerRow, Trace, trace

__all__ = [
    "LayerRow",
    "ReceptiveField",
    "Trace",
    "UnitRow",
    "Window",
    "dead_units",
    "gradient_norms",
    "numerical_receptive_field",
    "receptive_field",
    "receptive_field_of_chain",
    "trace",
]
