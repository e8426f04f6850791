"""`python -m suffrage` is the command `suffrage`."""

from suffrage.cli import main

main()
