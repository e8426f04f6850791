"""Polis: its conversations, and its export files read and written."""
