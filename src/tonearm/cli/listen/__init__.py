"""tonearm listen: listening tests of takes, and the analysis of their results."""

from tonearm.cli.listen.analyse import analyse
from tonearm.cli.listen.make import make

NAME = "listen"
HELP = "Make listening tests of takes (ABX, choices in pairs, MUSHRA), and analyse their results."
COMMANDS = (make, analyse)
