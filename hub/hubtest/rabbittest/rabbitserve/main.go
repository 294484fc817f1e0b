// Rabbitserve starts a RabbitMQ for tests, prints where it is and serves until
// its standard input ends.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hookline/hookline/hub/hubtest/rabbitserver"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	server, err := rabbitserver.Start("")
	if err != nil {
		return err
	}
	fmt.Println(server)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, server.Stop())
}
