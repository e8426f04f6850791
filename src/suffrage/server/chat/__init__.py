"""The chat page: two sides of a model next to each other, on this machine only."""
