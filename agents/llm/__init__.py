"""A language model as the analyst: asked live, or replayed from its recorded replies."""
