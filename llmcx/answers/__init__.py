"""One file a question. Composes what the rooms below say."""
