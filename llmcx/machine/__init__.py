"""Accelerators, and op by op the seconds that they take."""
