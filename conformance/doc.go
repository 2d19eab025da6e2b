// Package conformance has other people judge Outband: answers that machines gave, recorded by others; clients that
// others wrote, unmodified, against the virtual machine; and the schemas that clusters hold fence agents against. It is
// a Go module of its own, so that what only a test needs is no dependency of the product. It has no code but tests.
//
//	apt-get install amtterm fence-agents pacemaker-cli-utils jing curl openssl libxml2-utils \
//		tigervnc-viewer xvfb imagemagick chromium nodejs npm
//	(cd browser && npm ci)
//	go test ./...
//
// A test whose program is not installed is skipped and says so; with CI=true it fails. Recordings and the client
// library come from the module cache, programs from the system: nothing of theirs is kept here. Virtual machines listen
// on addresses of 127.0.0.0/8, on the ports that AMT has.
package conformance
