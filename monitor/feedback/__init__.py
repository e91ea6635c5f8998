"""What the desk says of alerts, and what is learned of it: in which order they are worth looking at."""
