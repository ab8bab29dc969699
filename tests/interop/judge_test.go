// Package judge has foreign implementations (golang.org/x/mod/sumdb and filippo.io/torchwood) pass
// judgement on what a running Indelible log and its witnesses made.
//
// The environment variable JUDGE_DIR names a folder with
//
//	url                   base URL of the running log
//	policy.txt            its tlog-policy: one log line, witnesses, quorum
//	checkpoints/<size>    published checkpoints
//	inclusion.jsonl       {"index","size","leaf","proof"}: inclusion proofs, hashes in base64
//	consistency.jsonl     {"old","new","proof"}: consistency proofs
//	proofs/<n>.tlog-proof with proofs/<n>.entry: the entry's bytes
package judge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func dir(t *testing.T) string {
	t.Helper()
	d := os.Getenv("JUDGE_DIR")
	if d == "" {
		t.Fatal("JUDGE_DIR is not set: run this through tests/run interop")
	}
	return d
}

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{dir(t)}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vkeys returns the policy's keys: the log's first, then the witnesses'.
func vkeys(t *testing.T) []string {
	t.Helper()
	var log, witnesses []string
	for line := range strings.Lines(string(read(t, "policy.txt"))) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 2 && f[0] == "log":
			log = append(log, f[1])
		case len(f) >= 3 && f[0] == "witness":
			witnesses = append(witnesses, f[2])
		}
	}
	if len(log) != 1 || len(witnesses) < 3 {
		t.Fatalf("policy with %d logs and %d witnesses, want 1 and at least 3", len(log), len(witnesses))
	}
	return append(log, witnesses...)
}

func policy(t *testing.T) torchwood.Policy {
	t.Helper()
	p, err := torchwood.ParsePolicy(read(t, "policy.txt"))
	if err != nil {
		t.Fatalf("torchwood refuses our policy: %v", err)
	}
	return p
}

type published struct {
	raw []byte
	torchwood.Checkpoint
}

func checkpoints(t *testing.T) []published {
	t.Helper()
	p := policy(t)
	names, err := os.ReadDir(filepath.Join(dir(t), "checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	var all []published
	for _, name := range names {
		raw := read(t, "checkpoints", name.Name())
		c, _, err := torchwood.VerifyCheckpoint(raw, p)
		if err != nil {
			t.Fatalf("torchwood refuses our checkpoint of size %s: %v", name.Name(), err)
		}
		if strconv.FormatInt(c.N, 10) != name.Name() {
			t.Fatalf("checkpoint %s says size %d", name.Name(), c.N)
		}
		all = append(all, published{raw, c})
	}
	slices.SortFunc(all, func(a, b published) int { return int(a.N - b.N) })
	if len(all) < 2 {
		t.Fatalf("only %d checkpoints to judge", len(all))
	}
	return all
}

func roots(t *testing.T) map[int64]tlog.Hash {
	t.Helper()
	m := map[int64]tlog.Hash{}
	for _, c := range checkpoints(t) {
		m[c.N] = c.Hash
	}
	return m
}

func fetcher(t *testing.T) *torchwood.TileFetcher {
	t.Helper()
	f, err := torchwood.NewTileFetcher(strings.TrimSpace(string(read(t, "url"))))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every checkpoint opens with Go's own note package: an Ed25519 signature of the log with that package's verifier,
// each cosignature, be it the log's, with torchwood's.
func TestCheckpointsAreNotes(t *testing.T) {
	keys := vkeys(t)
	log, err := torchwood.NewLogVerifier(keys[0])
	if err != nil {
		t.Fatalf("Go refuses our log key: %v", err)
	}
	verifiers := []note.Verifier{log}
	for _, k := range keys[1:] {
		v, err := torchwood.NewCosignatureVerifier(k)
		if err != nil {
			t.Fatalf("torchwood refuses our witness key: %v", err)
		}
		verifiers = append(verifiers, v)
	}
	for _, c := range checkpoints(t) {
		n, err := note.Open(c.raw, note.VerifierList(verifiers...))
		if err != nil {
			t.Fatalf("size %d: %v", c.N, err)
		}
		if len(n.UnverifiedSigs) != 0 {
			t.Errorf("size %d: %d signatures by nobody we know", c.N, len(n.UnverifiedSigs))
		}
		if c.N > 0 && len(n.Sigs) < 3 {
			t.Errorf("size %d: %d signatures, want the log's and at least two witnesses'", c.N, len(n.Sigs))
		}
		for _, s := range n.Sigs[1:] {
			if at, err := torchwood.CosignatureTimestamp(s); err != nil || at < 1_700_000_000 || at > 1<<33 {
				t.Errorf("size %d: cosignature time %d, %v", c.N, at, err)
			}
		}
		text, err := tlog.ParseTree([]byte("go.sum database tree\n" + strings.SplitN(n.Text, "\n", 2)[1]))
		if err != nil || text.N != c.N || text.Hash != c.Hash {
			t.Errorf("size %d: x/mod reads another tree head: %v %v", c.N, text, err)
		}
	}
}

// The tiles of the running log give the root of every checkpoint, through Go's tile reader.
func TestTilesGiveEveryRoot(t *testing.T) {
	all := checkpoints(t)
	f := fetcher(t)
	for _, c := range all {
		if c.N == 0 {
			continue
		}
		r := torchwood.TileHashReaderWithContext(context.Background(), c.Tree, f)
		h, err := tlog.TreeHash(c.N, r)
		if err != nil || h != c.Hash {
			t.Fatalf("size %d: tiles give %v (%v), signed was %v", c.N, h, err, c.Hash)
		}
	}
}

// torchwood's client reads every entry of the newest tree, each checked against it.
func TestClientReadsEveryEntry(t *testing.T) {
	all := checkpoints(t)
	newest := all[len(all)-1]
	c, err := torchwood.NewClient(fetcher(t))
	if err != nil {
		t.Fatal(err)
	}
	var next int64
	for i, entry := range c.AllEntries(context.Background(), newest.Tree, 0) {
		if i != next || len(entry) == 0 {
			t.Fatalf("entry %d has %d bytes, expected entry %d", i, len(entry), next)
		}
		next++
	}
	if c.Err() != nil || next != newest.N {
		t.Fatalf("read %d of %d entries: %v", next, newest.N, c.Err())
	}
}

func lines(t *testing.T, name string, each func(dec *json.Decoder) error) int {
	t.Helper()
	s := bufio.NewScanner(bytes.NewReader(read(t, name)))
	s.Buffer(nil, 1<<20)
	n := 0
	for s.Scan() {
		dec := json.NewDecoder(bytes.NewReader(s.Bytes()))
		dec.DisallowUnknownFields()
		if err := each(dec); err != nil {
			t.Fatalf("%s line %d: %v", name, n+1, err)
		}
		n++
	}
	if s.Err() != nil || n == 0 {
		t.Fatalf("%s: %d lines, %v", name, n, s.Err())
	}
	return n
}

func hash(t *testing.T, s string) tlog.Hash {
	t.Helper()
	h, err := tlog.ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hashes(t *testing.T, ss []string) []tlog.Hash {
	var hs []tlog.Hash
	for _, s := range ss {
		hs = append(hs, hash(t, s))
	}
	return hs
}

// Our inclusion proofs pass Go's check, and are the ones that Go would have made.
func TestInclusionProofs(t *testing.T) {
	known := roots(t)
	f := fetcher(t)
	n := lines(t, "inclusion.jsonl", func(dec *json.Decoder) error {
		var p struct {
			Index, Size int64
			Leaf        string
			Proof       []string
		}
		if err := dec.Decode(&p); err != nil {
			return err
		}
		root, ok := known[p.Size]
		if !ok {
			t.Fatalf("no checkpoint of size %d", p.Size)
		}
		ours := tlog.RecordProof(hashes(t, p.Proof))
		if err := tlog.CheckRecord(ours, p.Size, root, p.Index, hash(t, p.Leaf)); err != nil {
			t.Errorf("index %d of %d: %v", p.Index, p.Size, err)
		}
		r := torchwood.TileHashReaderWithContext(context.Background(), tlog.Tree{N: p.Size, Hash: root}, f)
		theirs, err := tlog.ProveRecord(p.Size, p.Index, r)
		if err != nil || !slices.Equal(theirs, ours) {
			t.Errorf("index %d of %d: Go proves it otherwise: %v", p.Index, p.Size, err)
		}
		return nil
	})
	t.Logf("%d inclusion proofs", n)
}

// Our consistency proofs pass Go's check.
func TestConsistencyProofs(t *testing.T) {
	known := roots(t)
	n := lines(t, "consistency.jsonl", func(dec *json.Decoder) error {
		var p struct {
			Old, New int64
			Proof    []string
		}
		if err := dec.Decode(&p); err != nil {
			return err
		}
		if err := tlog.CheckTree(tlog.TreeProof(hashes(t, p.Proof)), p.New, known[p.New], p.Old, known[p.Old]); err != nil {
			t.Errorf("%d to %d: %v", p.Old, p.New, err)
		}
		return nil
	})
	t.Logf("%d consistency proofs", n)
}

// Our .tlog-proof files verify with torchwood under our policy, and stop verifying for another entry.
func TestLogProofFiles(t *testing.T) {
	p := policy(t)
	files, err := filepath.Glob(filepath.Join(dir(t), "proofs", "*.tlog-proof"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d proof files, %v", len(files), err)
	}
	for _, name := range files {
		proof, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := os.ReadFile(strings.TrimSuffix(name, ".tlog-proof") + ".entry")
		if err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(p, tlog.RecordHash(entry), proof); err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
		if err := torchwood.VerifyProof(p, tlog.RecordHash(append(entry, 0)), proof); err == nil {
			t.Errorf("%s verifies for other bytes", filepath.Base(name))
		}
		extra, err := torchwood.ProofExtraData(proof)
		if err == nil && !bytes.Equal(extra, entry) {
			t.Errorf("%s: extra is not the entry", filepath.Base(name))
		}
	}
	t.Logf("%d proof files", len(files))
}
