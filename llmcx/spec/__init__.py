"""Model specs from the outside: preset files, users' files, flags, and the sizes people write."""
