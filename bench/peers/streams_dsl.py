"""Kafka Streams (Java) as its documentation begins: ``windowedBy().count()``, with the cache off so that every count is seen."""

from bench.peers.streams_count import main

if __name__ == "__main__":
    main("dsl")
