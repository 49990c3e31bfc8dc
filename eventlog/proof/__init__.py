"""What a log proves of itself: complete, intact, and where it cannot say."""
