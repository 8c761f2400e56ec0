"""What to steer: vectors, operators, schedules, and the one schema that joins them. Knows neither transformers nor the web."""

from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steer, Steering, SteeringLike, as_steering, parse_short
from tonearm.steering.vector import SITES, Site, SteeringVector, VectorInfo
from tonearm.steering.vector_file import load_vector, save_vector

__all__ = [
    "SITES",
    "Schedule",
    "Site",
    "Steer",
    "Steering",
    "SteeringLike",
    "SteeringVector",
    "VectorInfo",
    "as_steering",
    "load_vector",
    "parse_short",
    "save_vector",
]
