//go:build !linux

package mei

// system returns nothing: Intel's drivers for other systems have other interfaces.
func system() kernel { return nil }
