"""A study: the file that declares it, its stages, and one execution of them."""
