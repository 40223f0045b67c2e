"""Measure networks: layers, shapes, costs, receptive fields, gradients, dead units."""

from convnets.analysis.trace import LayerRow, Trace, trace

__all__ = ["LayerRow", "Trace", "trace"]
