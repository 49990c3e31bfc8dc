"""The order in which what was received enters the log, and what is fetched where ids are missing."""
