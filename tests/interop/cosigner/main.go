// Command cosigner is a witness with an ML-DSA-44 key that cosigns, with filippo.io/torchwood, whatever it is sent:
// it checks nothing, and serves tests only.
//
//	cosigner VKEYFILE
//
// writes its verifier key to VKEYFILE, listens on a free port of 127.0.0.1 and prints "listening URL".
package main

import (
	"bytes"
	"crypto/mldsa"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	key := must(mldsa.NewPrivateKey(mldsa.MLDSA44(), bytes.Repeat([]byte{3}, mldsa.PrivateKeySize)))
	signer := must(torchwood.NewCosignatureSigner("witness.foreign.example/pq", key))
	if err := os.WriteFile(os.Args[1], []byte(signer.Verifier().String()), 0o644); err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /add-checkpoint", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		// The proof, an empty line, the checkpoint's text, an empty line, its signatures.
		_, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
		text, _, _ := bytes.Cut(checkpoint, []byte("\n\n"))
		signed, err := note.Sign(&note.Note{Text: string(text) + "\n"}, signer)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Write(signed[len(text)+2:])
	})
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Printf("listening http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
