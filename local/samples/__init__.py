"""Draws a dozen product photos, so that a demo has something to look at and tests know what is in it.

Products are drawn on a board of 1000 x 1000 units in the middle of the photo. Nothing is random but the
grain, and that is seeded: every drawing gives the same bytes.
"""

from local.samples.drawing import Sample, draw_samples
from local.samples.finishes import GPS, ORIENTATION

__all__ = ["GPS", "ORIENTATION", "Sample", "draw_samples"]
