//go:build tools

package judge

// The vectors of these modules are read by a suite of ours; nothing here links them.
import (
	_ "filippo.io/mostly-harmless/ed25519vectors"
	_ "github.com/transparency-dev/merkle/rfc6962"
)
