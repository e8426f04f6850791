"""Opinion groups: finding them, how stable they are, and what they agree on."""
