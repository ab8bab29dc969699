// Command tessera makes a log in POSIX files with github.com/transparency-dev/tessera, for Indelible to check and
// to import:
//
//	tessera DIR SIZE
//
// writes the log below DIR/log and its verifier key to DIR/vkey.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: tessera DIR SIZE")
	}
	dir, size := os.Args[1], must(strconv.Atoi(os.Args[2]))
	skey, vkey, err := note.GenerateKey(rand.Reader, "tessera.example/log")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vkey"), []byte(vkey+"\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	driver := must(posix.New(ctx, posix.Config{Path: filepath.Join(dir, "log")}))
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(must(note.NewSigner(skey))).
		WithBatching(uint(size), 100*time.Millisecond).
		WithCheckpointInterval(100 * time.Millisecond)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, opts)
	if err != nil {
		log.Fatal(err)
	}
	await := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 100*time.Millisecond)
	var futures []tessera.IndexFuture
	for i := range size {
		futures = append(futures, appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "tessera entry %d", i))))
	}
	for _, f := range futures {
		if _, _, err := await.Await(ctx, f); err != nil {
			log.Fatal(err)
		}
	}
	if err := shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}
