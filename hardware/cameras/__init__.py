"""One camera each; `hardware.camera` holds the table."""
