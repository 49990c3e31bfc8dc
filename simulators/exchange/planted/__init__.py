"""A market with planted structures and their records: walls, bands, voids, absorption, sweeps."""
