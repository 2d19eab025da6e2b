// Package bench measures: our client and codec beside go-wsman-messages, the work of a console that asks a thousand
// machines, and what a virtual machine costs. docs/performance.md explains the figures. It is a Go module of its own, so
// that the other library is no dependency of the product.
//
//	make bench
//
// It needs loopback addresses (all of 127.0.0.0/8, as Linux has them) and a few thousand file descriptors.
package bench
