"""Markets, instruments, exact numbers and time. Pure; imports no other package."""
