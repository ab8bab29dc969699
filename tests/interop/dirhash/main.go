// Command dirhash prints the hash that golang.org/x/mod gives a directory.
package main

import (
	"fmt"
	"log"
	"os"

	"golang.org/x/mod/sumdb/dirhash"
)

func main() {
	hash, err := dirhash.HashDir(os.Args[1], "", dirhash.Hash1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hash)
}
