"""Explorers: pictures with controls, live in a notebook and stepping on a static page."""

from convnets.widgets.explorer import Explorer

__all__ = ["Explorer"]
