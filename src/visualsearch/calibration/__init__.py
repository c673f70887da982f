"""What may be promised of a search, learned from pictures that nothing else has learned from."""
