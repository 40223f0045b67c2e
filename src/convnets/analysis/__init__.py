"""Measure networks and what flows through them.

Layers with their shapes, costs, memory and receptive fields; gradients and activations, dead and
saturated units; the loss around the weights; feature reuse, gates, similarity of layers, Grad-CAM.
"""

from convnets.analysis.activation_statistics import ActivationRow, activation_statistics
from convnets.analysis.dead_units import UnitRow, dead_units
from convnets.analysis.effective_receptive_field import (
    EffectiveReceptiveField,
    effective_receptive_field,
    numerical_receptive_field,
)
from convnets.analysis.excitations import excitations
from convnets.analysis.feature_reuse import feature_reuse
from convnets.analysis.grad_cam import grad_cam
from convnets.analysis.gradients import gradient_norms
from convnets.analysis.layer_rows import LayerRow
from convnets.analysis.loss_landscape import loss_along_direction, loss_surface
from convnets.analysis.memory import inference_peak, saved_for_backward
from convnets.analysis.receptive_field import (
    ReceptiveField,
    Window,
    receptive_field,
    receptive_field_of_chain,
)
from convnets.analysis.residual_responses import residual_responses
from convnets.analysis.saturation import SaturationRow, saturation
from convnets.analysis.signal_propagation import INITIALIZATIONS, SignalRow, signal_propagation
from convnets.analysis.similarity import cka, linear_cka
from convnets.analysis.trace import Trace, trace

__all__ = [
    "INITIALIZATIONS",
    "ActivationRow",
    "EffectiveReceptiveField",
    "LayerRow",
    "ReceptiveField",
    "SaturationRow",
    "SignalRow",
    "Trace",
    "UnitRow",
    "Window",
    "activation_statistics",
    "cka",
    "dead_units",
    "effective_receptive_field",
    "excitations",
    "feature_reuse",
    "grad_cam",
    "gradient_norms",
    "inference_peak",
    "linear_cka",
    "loss_along_direction",
    "loss_surface",
    "numerical_receptive_field",
    "receptive_field",
    "receptive_field_of_chain",
    "residual_responses",
    "saturation",
    "saved_for_backward",
    "signal_propagation",
    "trace",
]
