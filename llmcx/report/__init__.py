"""Results -> tables, JSON, CSV, Markdown. No cost is computed here."""
