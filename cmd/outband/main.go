// Command outband manages Intel AMT machines: power, boot, inventory, fencing, and machines that exist only in memory.
// Called by the name amttool, amtterm, amtider, wsman, fence_amt_ws or fence_outband it behaves as the program of that
// name.
package main

import (
	"os"

	"github.com/outband/outband/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}
