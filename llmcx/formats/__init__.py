"""Number formats: dtypes, quantised files, optimizer states."""
