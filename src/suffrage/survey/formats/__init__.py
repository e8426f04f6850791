"""What several readers share: archive files, labelled tables, codebooks in YAML and JSON."""
