"""What a reader of figures must know of the stretch they come from: sentences beside the scores."""
