"""What advice was worth: episodes, outcomes, placebos, statistics."""
