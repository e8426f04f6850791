"""One file for each version, each naming the one before it."""
