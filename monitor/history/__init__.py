"""What is asked of the archive: who looked at somebody, and what an actor did."""
