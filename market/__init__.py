"""The words of the trade: markets, instruments, exact numbers and time. Pure; knows nobody."""
