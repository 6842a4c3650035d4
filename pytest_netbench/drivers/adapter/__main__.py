"""Where does the stand-in for a netbench driver start? ``python -I -S __main__.py``, the rest is in the environment."""

import sys
from pathlib import Path

if not __package__:  # run as a file: nothing has told Python where its package is
    sys.path.insert(0, str(Path(__file__).parents[3]))

from pytest_netbench.drivers.adapter.main import main

if __name__ == "__main__":
    sys.exit(main())
