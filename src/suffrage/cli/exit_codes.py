"""Exit codes that are no error's own. This imports nothing, so that it is there at once."""

# What a shell expects of a command that Ctrl-C stopped.
INTERRUPTED = 130
