//go:build tools

// Package kubo pins the Kubo release that the interop tests drive as a foreign peer.
package kubo

import _ "github.com/ipfs/kubo/cmd/ipfs"
