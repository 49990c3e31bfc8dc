"""A local model server with DeepSeek's API, and faults on request."""
