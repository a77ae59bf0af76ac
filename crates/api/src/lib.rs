//! HTTP over a node's handles: Kubo-shaped RPC, metrics and health.
