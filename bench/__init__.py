"""Speed and size, each as a ratio against a reference measured in the same run."""
