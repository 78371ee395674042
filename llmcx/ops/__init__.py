"""Ops: one record per distinct piece of work, and the folds that keep one formula per kind of op."""
