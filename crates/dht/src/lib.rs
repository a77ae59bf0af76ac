//! Content and peer routing over the IPFS Kademlia networks.
