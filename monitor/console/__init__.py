"""The console: the security desk's web pages, over a store that is filled from the topics."""
