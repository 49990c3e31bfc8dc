"""A market with planted structures, each on record: walls, bands, voids, absorption, sweeps."""
