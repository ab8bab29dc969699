// Command peer appends entries to a log of another implementation, Tessera on a POSIX file system, in this
// process, and prints what that took as one JSON object. It is what the benchmark's rows are compared with.
//
//	peer -dir DIR -entries N [-bytes 256] [-waiting 16384] [-batch 4096]
//	peer -key FILE
//
// An entry counts once Tessera has answered with its index, which is when it is durable. Nothing is read back
// and nothing is deduplicated. Entries are pseudo-random bytes, no two of them the same.
//
// The second form writes a new secret key for a Tessera server to FILE and prints its verifier key.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

var (
	dir     = flag.String("dir", "", "new directory of the log")
	entries = flag.Uint64("entries", 0, "how many entries to append")
	size    = flag.Int("bytes", 256, "length of an entry")
	waiting = flag.Int("waiting", 16384, "entries that may be unanswered")
	batch   = flag.Uint("batch", 4096, "most entries in a batch")
	keyFile = flag.String("key", "", "new file for a secret key")
)

func main() {
	flag.Parse()
	if *keyFile != "" {
		if err := makeKey(); err != nil {
			fmt.Fprintln(os.Stderr, "peer:", err)
			os.Exit(1)
		}
		return
	}
	if *dir == "" || *entries == 0 || *size < 8 || *waiting < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func makeKey() error {
	secret, verifier, err := note.GenerateKey(rand.Reader, "log.example/peer")
	if err != nil {
		return err
	}
	fmt.Println(verifier)
	return os.WriteFile(*keyFile, []byte(secret), 0o600)
}

func run(ctx context.Context) error {
	secret, _, err := note.GenerateKey(rand.Reader, "log.example/peer")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: *dir})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(*batch, 50*time.Millisecond).
		WithPushback(uint(2 * *waiting)).
		WithCheckpointInterval(time.Second)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}
	// Before anything is measured: the first entry makes the files that every log has.
	if _, err := appender.Add(ctx, tessera.NewEntry(entry(0)))(); err != nil {
		return err
	}

	var made atomic.Uint64
	failures := make(chan error, *waiting)
	begun, cpu := time.Now(), cpuSeconds()
	var writers sync.WaitGroup
	for range *waiting {
		writers.Go(func() {
			for {
				number := made.Add(1)
				if number > *entries {
					return
				}
				if _, err := appender.Add(ctx, tessera.NewEntry(entry(number)))(); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	writers.Wait()
	took, used := time.Since(begun), cpuSeconds()-cpu
	select {
	case err := <-failures:
		return err
	default:
	}
	report := map[string]any{"entries": *entries, "seconds": took.Seconds(), "cpu_seconds": used}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return err
	}
	return shutdown(ctx)
}

// The entry of this number: not compressible, cheap to make.
func entry(number uint64) []byte {
	state := (number + 1) * 0x9e3779b97f4a7c15
	bytes := make([]byte, 0, *size+8)
	for len(bytes) < *size {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		bytes = binary.BigEndian.AppendUint64(bytes, state)
	}
	return bytes[:*size]
}

// CPU time of this process so far, in user and system mode.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
