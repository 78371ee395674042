"""The folds over ops: parameters, FLOPs, saved activations, cached numbers, bytes moved."""
