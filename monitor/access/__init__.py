"""Who may do what with the monitor: people, their roles, and the rights of each role."""
