"""One file an engine: what a real program reserves, and how it schedules."""
