module indelible.dev/tests/interop

go 1.27.0

require (
	filippo.io/mostly-harmless/ed25519vectors v0.0.0-20210322192420-30a2d7243a94
	filippo.io/torchwood v0.10.0
	github.com/transparency-dev/merkle v0.0.3-0.20260707140218-77df88e508fa
	golang.org/x/mod v0.42.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	golang.org/x/crypto v0.56.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
)
