"""Where does the built-in driver start? ``python -I -S __main__.py tcp server``, with the rest in the environment."""

import gc
import sys
from pathlib import Path

gc.disable()  # nothing here makes garbage in circles, and to look for it costs time at the wrong moment

if not __package__:  # run as a file: nothing has told Python where its package is
    sys.path.insert(0, str(Path(__file__).parents[3]))

from pytest_netbench.drivers.builtin.main import main  # noqa: E402 - what it brings in is found only now

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
