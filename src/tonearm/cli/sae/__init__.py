"""tonearm sae: sparse autoencoders of activations, their features, and vectors of them."""

from tonearm.cli.sae.features import features
from tonearm.cli.sae.learn import learn
from tonearm.cli.sae.train import train
from tonearm.cli.sae.vector import vector

NAME = "sae"
HELP = "Train sparse autoencoders, name their features, and make steering vectors of them."
COMMANDS = (train, features, vector, learn)
