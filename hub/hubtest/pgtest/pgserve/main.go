// Pgserve starts a PostgreSQL for tests, prints its URL and serves until its
// standard input ends.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hookline/hookline/hub/hubtest/pgtest"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	server, err := pgtest.StartForTests()
	if err != nil {
		return err
	}
	fmt.Println(server.URL)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, server.Stop())
}
