"""`python -m assise`."""

from assise.cli import main

if __name__ == "__main__":
    main()
