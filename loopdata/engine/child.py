"""The main module of a child process that runs one unit: `python -m loopdata.engine.child ORDER`.

A module of its own, because a child imports the module that it is started by. Limit: it is of no use by hand.
"""

import sys
from pathlib import Path

from loopdata.engine.work import obey

if __name__ == "__main__":
    obey(Path(sys.argv[1]))
