"""What is said to a model and in which order: tools, prompts, and the three steps. No I/O."""
