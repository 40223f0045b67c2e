"""Explorers, which are figures with controls, and quizzes, for notebooks and static pages."""

from convnets.widgets.connections import densenet_connections, residual_gradients
from convnets.widgets.costs import compound_scaling_growth, depthwise_cost, inception_cost
from convnets.widgets.explorer import Explorer
from convnets.widgets.explorers import (
    activation_function,
    convolution_arithmetic,
    receptive_field_growth,
)
from convnets.widgets.gates import channel_gates, gate_cost
from convnets.widgets.quiz import Question, Quiz

__all__ = [
    "Explorer",
    "Question",
    "Quiz",
    "activation_function",
    "channel_gates",
    "compound_scaling_growth",
    "convolution_arithmetic",
    "densenet_connections",
    "depthwise_cost",
    "gate_cost",
    "inception_cost",
    "receptive_field_growth",
    "residual_gradients",
]
