"""What single commands print in a terminal, and their pages."""
