"""`python -m fmtool`."""

from fmtool.cli import main

if __name__ == "__main__":
    main()
