"""What a model is given at one instant: from stored rows as of that instant, and from a stream as it comes."""

from wattline.features.asof import Features, as_of
from wattline.features.instants import Instants
from wattline.features.stream import Stream

__all__ = ["Features", "Instants", "Stream", "as_of"]
