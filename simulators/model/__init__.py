"""A local model server speaking DeepSeek's API, with its faults on request."""
