//go:build !unix

package cli

import "os"

// passSignals has nothing to pass on: programs cannot be run in the place of this one here.
func passSignals() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
