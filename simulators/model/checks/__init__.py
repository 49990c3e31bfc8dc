"""What the simulated model server takes and what it refuses."""
