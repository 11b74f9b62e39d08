"""``python -m jupyter_mlprod`` and the command ``mlprod``."""

import sys

from jupyter_mlprod.fronts.cli import main as run


def main() -> None:
    """Run the command line and end the process with its status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
