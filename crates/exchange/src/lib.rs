//! Bitswap 1.2: fetches blocks from peers and serves blocks to them.
