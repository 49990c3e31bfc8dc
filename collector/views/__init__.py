"""Views of a recording for other programs: in Redis and as files."""
