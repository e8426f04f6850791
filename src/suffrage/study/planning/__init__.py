"""What a study will cost before it starts, and what this machine can do."""
