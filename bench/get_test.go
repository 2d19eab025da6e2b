package bench

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"syscall"
	"testing"
	"time"

	peer "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/client"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

// BenchmarkGet reads AMT_GeneralSettings over loopback, one call after the other, as both libraries do it by
// themselves. Ours keeps the connection and signs with the nonce that it has: one HTTP exchange per call, which is
// checked. Theirs opens a connection for each call.
func BenchmarkGet(b *testing.B) {
	b.Run("http", func(b *testing.B) { benchmarkGet(b, 12, false) })
	b.Run("https", func(b *testing.B) { benchmarkGet(b, 16, true) })
}

func benchmarkGet(b *testing.B, generation int, secure bool) {
	at := machines(b, order{Profile: generation, Count: 1}).Live[0]
	b.Run("outband", func(b *testing.B) {
		b.ReportAllocs()
		c := &wsman.Client{Password: firmware.DefaultPassword, Dial: dialer(at, secure)}
		defer c.Close()
		get := func() {
			got, err := class.Get[amt.GeneralSettings](b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			if class.Value(got.HostName) == "" {
				b.Fatal("no host name")
			}
		}
		get() // the challenge
		before, calls := c.RoundTrips(), 0
		cpu := processorTime()
		for b.Loop() {
			get()
			calls++
		}
		trips := c.RoundTrips() - before
		if trips != int64(calls) {
			b.Errorf("%d HTTP exchanges for %d calls, want one each", trips, calls)
		}
		b.ReportMetric(float64(trips)/float64(calls), "exchanges/op")
		reportProcessor(b, cpu)
	})
	b.Run("go-wsman-messages", func(b *testing.B) {
		b.ReportAllocs()
		m := peer.NewMessages(client.Parameters{Target: at, Username: "admin", Password: firmware.DefaultPassword,
			UseDigest: true, UseTLS: secure, SelfSignedAllowed: true})
		cpu := processorTime()
		for b.Loop() {
			got, err := m.AMT.GeneralSettings.Get()
			if err != nil {
				b.Fatal(err)
			}
			if got.Body.GetResponse.HostName == "" {
				b.Fatal("no host name")
			}
		}
		reportProcessor(b, cpu)
	})
}

// processorTime returns what this process, which is the client alone, has used: user and system. What it buys on one
// core does not depend on the machine that answers.
func processorTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// reportProcessor reports what each of b.N operations has cost this process since it had used so much.
func reportProcessor(b *testing.B, since time.Duration) {
	b.ReportMetric(float64((processorTime()-since).Nanoseconds())/1000/float64(b.N), "client-cpu-us/op")
}

// fingerprint returns the SHA-256 of the certificate that a machine shows, in hex.
func fingerprint(tb testing.TB, address string) string {
	tb.Helper()
	conn, err := dialer(address, true)(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:])
}

// dialer returns what connects to a machine.
func dialer(address string, secure bool) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		if secure {
			d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // as the other library here
			return d.DialContext(ctx, "tcp", net.JoinHostPort(address, "16993"))
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", net.JoinHostPort(address, "16992"))
	}
}
