"""What we measure of ours."""
