"""Import of other programs' files into logs, export of logs to files, and rebuilding of catalogues."""
