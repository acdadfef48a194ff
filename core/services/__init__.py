"""One function per use case. Each opens its own short transactions and never holds one across the network."""
