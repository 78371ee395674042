"""Scaling laws: loss, optimum, fitting."""
