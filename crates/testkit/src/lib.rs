//! What tests stand on: foreign peers, in-process clusters and probes.
