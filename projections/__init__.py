"""Folds over the log: a state, `apply(batch)`, what it answers. Pure; the same batches give the same bits."""
