"""The contenders: one module each, run alone as a process of its own by :mod:`bench.peers.contender`."""
