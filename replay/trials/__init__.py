"""Models on recorded days: asked again, compared in pairs, probed for what they follow."""
