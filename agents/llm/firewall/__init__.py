"""Between a model's words and advice: nothing passes that is not grounded in the evidence of its tick."""
