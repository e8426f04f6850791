"""Statements, votes and comparisons that other platforms collected."""
