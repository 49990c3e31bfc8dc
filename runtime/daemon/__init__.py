"""What a process that runs for months needs: signals, its log, its status, its limits."""
