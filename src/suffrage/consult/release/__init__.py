"""The public dataset: disclosure control, its card and its files."""
