"""What figures can be trusted: errors, intervals, power, calibration; nothing here knows of markets."""
