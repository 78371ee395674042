"""A model as a composition of parts, in the order of its layers, and how the parts lower to ops."""
