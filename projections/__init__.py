"""
Folds over the log: a state, `apply(batch)`, and the figures that follow from it. Pure; the same batches give the same
bits.
"""
