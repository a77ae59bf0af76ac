//! Nothing: this package exists for the programs in `examples/`.
