package bench

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	peer "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt"
	peercim "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/cim"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/client"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// recorded reads an answer that go-wsman-messages keeps for its tests: an indented copy of what a machine sent.
func recorded(tb testing.TB, name string) []byte {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/device-management-toolkit/go-wsman-messages/v2").Output()
	if err != nil {
		tb.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pkg/wsman/wsmantesting/responses", name+".xml"))
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSpace(doc)
}

// canned answers each request with the same document, in both libraries' terms, without a network.
type canned struct {
	client.WSMan // only Post is called
	doc          []byte
	out          []byte // the request, written as if it were sent
}

func (c *canned) Post(string) ([]byte, error) { return c.doc, nil }

func (c *canned) RoundTrip(_ context.Context, req *wsman.Request) (*wsman.Response, error) {
	c.out = req.Append(c.out[:0])
	return wsman.ParseResponse(c.doc)
}

// pullOurs sends one Pull and decodes what it brings.
func pullOurs[T any, P class.Pointer[T]](b *testing.B, c *canned, want int) {
	uri := wsman.ClassURI(P(nil).ClassName())
	pull := wsman.Group(wsman.NSEnumeration, "Pull",
		wsman.El(wsman.NSEnumeration, "EnumerationContext", "1"),
		wsman.El(wsman.NSEnumeration, "MaxElements", "999"))
	cpu := processorTime()
	for b.Loop() {
		resp, err := c.RoundTrip(b.Context(), &wsman.Request{Action: wsman.ActionPull, ResourceURI: uri, MessageID: "1", Body: &pull})
		if err != nil {
			b.Fatal(err)
		}
		items := resp.Body.Child("Items").Children
		got := make([]T, len(items))
		for i := range items {
			if err := P(&got[i]).Decode(&items[i]); err != nil {
				b.Fatal(err)
			}
		}
		if len(got) != want {
			b.Fatalf("%d items, want %d", len(got), want)
		}
	}
	reportProcessor(b, cpu)
}

// BenchmarkDecode writes a Pull and decodes the recorded answer to typed values: 11 instances of CIM_SoftwareIdentity in
// 4.1 KB, and one of AMT_BootSettingData with 30 properties in 3.5 KB.
func BenchmarkDecode(b *testing.B) {
	b.Run("SoftwareIdentity", func(b *testing.B) {
		c := &canned{doc: recorded(b, "cim/software/identity/pull")}
		b.Run("outband", func(b *testing.B) {
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			pullOurs[cim.SoftwareIdentity](b, c, 11)
		})
		b.Run("go-wsman-messages", func(b *testing.B) {
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			m := peercim.NewMessages(c)
			cpu := processorTime()
			for b.Loop() {
				got, err := m.SoftwareIdentity.Pull("1")
				if err != nil {
					b.Fatal(err)
				}
				if n := len(got.Body.PullResponse.SoftwareIdentityItems); n != 11 {
					b.Fatalf("%d items, want 11", n)
				}
			}
			reportProcessor(b, cpu)
		})
	})
	b.Run("BootSettingData", func(b *testing.B) {
		c := &canned{doc: recorded(b, "amt/boot/settingdata/pull")}
		b.Run("outband", func(b *testing.B) {
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			pullOurs[amt.BootSettingData](b, c, 1)
		})
		b.Run("go-wsman-messages", func(b *testing.B) {
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			m := peer.NewMessages(c)
			cpu := processorTime()
			for b.Loop() {
				got, err := m.BootSettingData.Pull("1")
				if err != nil {
					b.Fatal(err)
				}
				if n := len(got.Body.PullResponse.BootSettingDataItems); n != 1 {
					b.Fatalf("%d items, want 1", n)
				}
			}
			reportProcessor(b, cpu)
		})
	})
}
