"""Steering: vectors, operators, schedules, and the schema that joins them."""

from tonearm.backend import SITES, Site
from tonearm.steering.amounts import with_strengths
from tonearm.steering.bundle_file import load_bundle, save_bundle
from tonearm.steering.calibration import (
    Calibration,
    Configuration,
    Drift,
    Evidence,
    Leak,
    SignCalibration,
)
from tonearm.steering.controls import Control
from tonearm.steering.frame_scales import FrameScales
from tonearm.steering.monitoring import Monitoring
from tonearm.steering.response import Response, ResponsePoint
from tonearm.steering.schedule import Schedule
from tonearm.steering.shorthand import SteeringLike, as_steering, parse_short
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.vector import SteeringVector, VectorInfo
from tonearm.steering.vector_file import load_vector, save_vector

__all__ = [
    "SITES",
    "Calibration",
    "Configuration",
    "Control",
    "Drift",
    "Evidence",
    "FrameScales",
    "Leak",
    "Monitoring",
    "Response",
    "ResponsePoint",
    "Schedule",
    "SignCalibration",
    "Site",
    "Steer",
    "Steering",
    "SteeringLike",
    "SteeringVector",
    "VectorInfo",
    "as_steering",
    "load_bundle",
    "load_vector",
    "parse_short",
    "save_bundle",
    "save_vector",
    "with_strengths",
]
