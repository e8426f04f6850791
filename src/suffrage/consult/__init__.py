"""The consultation: votes on statements, opinion groups, consensus, Polis files."""
