"""Survey readers: one file for each survey. What they share is in `survey.formats`."""
