// Command foreign makes keys, notes, checkpoints, cosignatures, tiles, entry bundles, proofs and a
// policy with golang.org/x/mod/sumdb and filippo.io/torchwood, for Indelible to judge:
//
//	foreign DIR SIZE...
//
// writes for one log of the largest SIZE
//
//	policy.txt, checkpoints/<size>, tile/… (tlog-tiles paths), proofs/<size>-<index>.tlog-proof with
//	proofs/<size>-<index>.entry, inclusion.jsonl and consistency.jsonl as the judge package reads them
//
// and timeless, the largest checkpoint with a cosignature of the same tree by m0 that states no time.
//
// Three witnesses have an Ed25519 key, w0 to w2, and an ML-DSA-44 key, m0 to m2, and sign with both.
//
// Keys come from the fixed seed below: the output is the same each time but for cosignature times.
package main

import (
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "log.foreign.example/one"

type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = m[x]
	}
	return out, nil
}

// seed makes key generation repeatable.
type seed struct{ b []byte }

func (s *seed) Read(p []byte) (int, error) {
	for i := range p {
		if len(s.b) < 2 {
			h := sha256.Sum256(append([]byte("foreign"), s.b...))
			s.b = append(s.b, h[:]...)
		}
		p[i] = s.b[0]
		s.b = s.b[1:]
	}
	return len(p), nil
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func entry(i int64) []byte { return fmt.Appendf(nil, "foreign entry %d", i) }

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: foreign DIR SIZE...")
	}
	dir := os.Args[1]
	var sizes []int64
	for _, a := range os.Args[2:] {
		sizes = append(sizes, must(strconv.ParseInt(a, 10, 64)))
	}
	slices.Sort(sizes)
	write := func(name string, b []byte) {
		path := filepath.Join(dir, name)
		check(os.MkdirAll(filepath.Dir(path), 0o755))
		check(os.WriteFile(path, b, 0o644))
	}

	random := &seed{b: []byte("seed")}
	skey, vkey, err := note.GenerateKey(random, origin)
	check(err)
	signer := must(note.NewSigner(skey))
	policy := "log " + vkey + "\n"
	signers := []note.Signer{signer}
	for i := range 3 {
		key := ed25519.NewKeyFromSeed(must2(random, ed25519.SeedSize))
		w := must(torchwood.NewCosignatureSigner(fmt.Sprintf("witness.foreign.example/%d", i), key))
		signers = append(signers, w)
		policy += fmt.Sprintf("witness w%d %s\n", i, w.Verifier())
	}
	var cosigners []*torchwood.CosignatureSigner
	for i := range 3 {
		key := must(mldsa.NewPrivateKey(mldsa.MLDSA44(), must2(random, mldsa.PrivateKeySize)))
		m := must(torchwood.NewCosignatureSigner(fmt.Sprintf("witness.foreign.example/%d", i), key))
		signers, cosigners = append(signers, m), append(cosigners, m)
		policy += fmt.Sprintf("witness m%d %s\n", i, m.Verifier())
	}
	policy += "group classical 2 w0 w1 w2\ngroup quantum 2 m0 m1 m2\ngroup both all classical quantum\nquorum both\n"
	write("policy.txt", []byte(policy))

	var stored memory
	var inclusion, consistency []byte
	heads := map[int64]tlog.Hash{}
	tile := func(t tlog.Tile) { write(torchwood.TilePath(t), must(tlog.ReadTileData(t, stored))) }
	bundle := func(first, end int64) []byte {
		var b []byte
		for i := first; i < end; i++ {
			b = must(torchwood.AppendTileEntry(b, entry(i)))
		}
		return b
	}
	var n int64
	for _, size := range sizes {
		for ; n < size; n++ {
			stored = append(stored, must(tlog.StoredHashes(n, entry(n), stored))...)
		}
		root := must(tlog.TreeHash(size, stored))
		heads[size] = root
		text := torchwood.Checkpoint{Origin: origin, Tree: tlog.Tree{N: size, Hash: root}}.String()
		signed := must(note.Sign(&note.Note{Text: text}, signers...))
		write("checkpoints/"+strconv.FormatInt(size, 10), signed)
		for _, t := range tlog.NewTiles(torchwood.TileHeight, 0, size) {
			if t.W != torchwood.TileWidth || size == sizes[len(sizes)-1] {
				tile(t)
			}
		}
		for first := int64(0); first < size; first += 256 {
			t := tlog.Tile{H: torchwood.TileHeight, L: -1, N: first / 256, W: int(min(256, size-first))}
			if t.W != 256 || size == sizes[len(sizes)-1] {
				write(torchwood.TilePath(t), bundle(first, first+int64(t.W)))
			}
		}
		for _, i := range []int64{0, size / 3, size / 2, size - 1} {
			if size == 0 {
				continue
			}
			p := must(tlog.ProveRecord(size, i, stored))
			name := fmt.Sprintf("proofs/%d-%d", size, i)
			write(name+".entry", entry(i))
			write(name+".tlog-proof", torchwood.FormatProofWithExtraData(i, entry(i), p, signed))
			inclusion = append(append(inclusion, must(json.Marshal(map[string]any{
				"index": i, "size": size, "leaf": tlog.RecordHash(entry(i)).String(), "proof": texts(p)}))...), '\n')
		}
		for old := range heads {
			if old == 0 {
				continue
			}
			p := must(tlog.ProveTree(size, old, stored))
			consistency = append(append(consistency, must(json.Marshal(map[string]any{
				"old": old, "new": size, "proof": texts(p)}))...), '\n')
		}
	}
	text := torchwood.Checkpoint{Origin: origin, Tree: tlog.Tree{N: n, Hash: heads[n]}}.String()
	alone := must(note.Sign(&note.Note{Text: text}, signer))
	write("timeless", append(alone, must(cosigners[0].SignSubtree(origin, 0, n, heads[n]))...))
	write("inclusion.jsonl", inclusion)
	write("consistency.jsonl", consistency)
}

func must2(r *seed, n int) []byte {
	b := make([]byte, n)
	must(r.Read(b))
	return b
}

func texts(hs []tlog.Hash) []string {
	out := []string{}
	for _, h := range hs {
		out = append(out, h.String())
	}
	return out
}
