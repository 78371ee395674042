"""One layout, and from a model's ops the ops of one GPU: the only place that divides."""
