"""The consultation server: its database, its pages and its results."""
