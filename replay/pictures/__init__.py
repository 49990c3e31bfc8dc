"""A tick as a picture."""
