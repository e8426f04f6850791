"""Survey readers: one file a survey, and the file formats they share."""
