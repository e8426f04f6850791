"""Value taxonomies, item keys, and scores."""
