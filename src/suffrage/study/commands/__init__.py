"""Single commands that read a study, one file each."""
