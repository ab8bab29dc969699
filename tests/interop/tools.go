//go:build tools

package judge

// The vectors of this module are read by a suite of ours; nothing here links it.
import _ "github.com/transparency-dev/merkle/rfc6962"
