"""The leak trace: subjects have leaked, and the question is who had looked at them before."""
