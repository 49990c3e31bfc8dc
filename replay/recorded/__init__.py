"""The record that advice is scored against: the trades that followed, and the books in which orders would rest."""
