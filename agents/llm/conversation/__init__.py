"""The conversation with a model: tools, prompts, and the order of the steps. No I/O."""
