"""What a daemon needs: signals, its log file, its status, its limits."""
