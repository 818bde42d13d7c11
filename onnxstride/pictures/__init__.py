"""Pictures of what a probe saw, as PNG files: ``drawing`` makes them, ``files`` saves them.

Pillow, which they are made with, is loaded when the first picture is.
"""

from .drawing import Picture, draw
from .files import folder_names, save

__all__ = ["Picture", "draw", "folder_names", "save"]
