"""A language model as the analyst: asked live, or answered from the record."""
