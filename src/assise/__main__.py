"""`python -m assise`."""

from assise.cli import main

main()
