"""The shared cost module: parts -> ops -> folds, as pure functions on plain numbers."""
