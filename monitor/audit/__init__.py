"""What the monitor's own users did: every search, view, verdict and unmasking, in a log of its own."""
