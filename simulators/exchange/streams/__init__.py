"""The simulated exchange's WebSocket streams."""
